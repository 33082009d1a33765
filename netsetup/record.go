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
	case Bridge:
		return "bridge"
	case Links:
		return "links"
	case Veth:
		return "veth"
	case TapLink:
		return "tap"
	case Isolated:
		return "isolated"
	case File:
		return "file"
	case Networkd:
		return "networkd"
	case BridgedUplink:
		return "bridged uplink"
	case FirewallZone:
		return "firewalld"
	case Table:
		return "table"
	case Guard:
		return "guard"
	case Unmanaged:
		return "unmanaged"
	case Up:
		return "up"
	case Address:
		return "address"
	case Sysctl:
		return "sysctl"
	case Forwarding:
		return "forwarding"
	case BaseChain:
		return "base"
	case Chain:
		return "chain"
	case Rule:
		return "rule"
	}
	panic(fmt.Sprintf("netsetup: %T has no kind", o))
}

func (p *packed) unpack() (Object, error) {
	switch p.Kind {
	case "bridge":
		return unpackAs[Bridge](p.Value)
	case "links":
		return unpackAs[Links](p.Value)
	case "veth":
		return unpackAs[Veth](p.Value)
	case "tap":
		return unpackAs[TapLink](p.Value)
	case "isolated":
		return unpackAs[Isolated](p.Value)
	case "file":
		return unpackAs[File](p.Value)
	case "networkd":
		return unpackAs[Networkd](p.Value)
	case "bridged uplink":
		return unpackAs[BridgedUplink](p.Value)
	case "firewalld":
		return unpackAs[FirewallZone](p.Value)
	case "table":
		return unpackAs[Table](p.Value)
	case "guard":
		return unpackAs[Guard](p.Value)
	case "unmanaged":
		return unpackAs[Unmanaged](p.Value)
	case "up":
		return unpackAs[Up](p.Value)
	case "address":
		return unpackAs[Address](p.Value)
	case "sysctl":
		return unpackAs[Sysctl](p.Value)
	case "forwarding":
		return unpackAs[Forwarding](p.Value)
	case "base":
		return unpackAs[BaseChain](p.Value)
	case "chain":
		return unpackAs[Chain](p.Value)
	case "rule":
		return unpackAs[Rule](p.Value)
	}
	return nil, fmt.Errorf("an object of the unknown kind %q", p.Kind)
}

func unpackAs[T Object](value json.RawMessage) (Object, error) {
	var o T
	err := json.Unmarshal(value, &o)
	return o, err
}
