package netsetup

import (
	"encoding/json"
	"fmt"
)

// packed is an object as it is written down: its kind and its fields.
type packed struct {
	Kind  string          `json:"kind"`
	Value json.RawMessage `json:"value"`
}

func pack(o Object) (*packed, error) {
	value, err := json.Marshal(o)
	return &packed{Kind: kindOf(o), Value: value}, err
}

func kindOf(o Object) string {
	switch o.(type) {
	case bridge:
		return "bridge"
	case links:
		return "links"
	case veth:
		return "veth"
	case tapLink:
		return "tap"
	case isolated:
		return "isolated"
	case file:
		return "file"
	case networkd:
		return "networkd"
	case bridgedUplink:
		return "bridged uplink"
	case firewallZone:
		return "firewalld"
	case table:
		return "table"
	case guard:
		return "guard"
	case unmanaged:
		return "unmanaged"
	case up:
		return "up"
	case address:
		return "address"
	case sysctl:
		return "sysctl"
	case forwarding:
		return "forwarding"
	case baseChain:
		return "base"
	case chain:
		return "chain"
	case rule:
		return "rule"
	}
	panic(fmt.Sprintf("netsetup: %T has no kind", o))
}

func (p *packed) unpack() (Object, error) {
	switch p.Kind {
	case "bridge":
		return unpackAs[bridge](p.Value)
	case "links":
		return unpackAs[links](p.Value)
	case "veth":
		return unpackAs[veth](p.Value)
	case "tap":
		return unpackAs[tapLink](p.Value)
	case "isolated":
		return unpackAs[isolated](p.Value)
	case "file":
		return unpackAs[file](p.Value)
	case "networkd":
		return unpackAs[networkd](p.Value)
	case "bridged uplink":
		return unpackAs[bridgedUplink](p.Value)
	case "firewalld":
		return unpackAs[firewallZone](p.Value)
	case "table":
		return unpackAs[table](p.Value)
	case "guard":
		return unpackAs[guard](p.Value)
	case "unmanaged":
		return unpackAs[unmanaged](p.Value)
	case "up":
		return unpackAs[up](p.Value)
	case "address":
		return unpackAs[address](p.Value)
	case "sysctl":
		return unpackAs[sysctl](p.Value)
	case "forwarding":
		return unpackAs[forwarding](p.Value)
	case "base":
		return unpackAs[baseChain](p.Value)
	case "chain":
		return unpackAs[chain](p.Value)
	case "rule":
		return unpackAs[rule](p.Value)
	}
	return nil, fmt.Errorf("an object of the unknown kind %q", p.Kind)
}

func unpackAs[T Object](value json.RawMessage) (Object, error) {
	var o T
	err := json.Unmarshal(value, &o)
	return o, err
}
