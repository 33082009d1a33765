package netsetup

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// native is what nftables has in a namespace, read once, with the tables that
// iptables keeps in it.
type native struct {
	conn   *nftables.Conn
	chains []*nftables.Chain
	rules  map[nativeID][]*nftables.Rule // filled as asked for
	sets   map[nativeID]*nativeSet       // filled as asked for
}

// nativeID names a chain or a set of a table.
type nativeID struct {
	family      nftables.TableFamily
	table, name string
}

// nativeSet is a set or map with its elements.
type nativeSet struct {
	*nftables.Set
	elements []nftables.SetElement
}

// native reads the chains of nftables; a kernel without it has none.
func (v *view) native() (*native, error) {
	if v.nft != nil {
		return v.nft, nil
	}
	conn, err := nftables.New()
	if err != nil {
		return nil, err
	}
	n := &native{conn: conn, rules: make(map[nativeID][]*nftables.Rule), sets: make(map[nativeID]*nativeSet)}
	n.chains, err = steady(conn.ListChains)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, fmt.Errorf("reading the chains of nftables: %w", err)
	}
	v.nft = n
	return n, nil
}

// steady reads again what somebody's transaction may have left something out of: the
// kernel marks such an answer as interrupted, which the library does not look at.
func steady[T any](read func() ([]T, error)) ([]T, error) {
	return retryDump(func() ([]T, error) {
		before := generation()
		list, err := read()
		if err == nil && generation() != before {
			err = netlink.ErrDumpInterrupted
		}
		return list, err
	})
}

// compatTables are the tables that iptables keeps in nftables.
var compatTables = []string{"raw", "mangle", "nat", "filter", "security"}

// compat reports whether a table is one of iptables'.
func compat(t *nftables.Table) bool {
	return (t.Family == nftables.TableFamilyIPv4 || t.Family == nftables.TableFamilyIPv6) && slices.Contains(compatTables, t.Name)
}

func (id nativeID) String() string {
	return fmt.Sprintf("%s %s/%s", familyName(id.family), id.table, id.name)
}

func familyName(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyINet:
		return "inet"
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	case nftables.TableFamilyBridge:
		return "bridge"
	case nftables.TableFamilyNetdev:
		return "netdev"
	case nftables.TableFamilyARP:
		return "arp"
	}
	return fmt.Sprintf("family %d", f)
}

func idOf(c *nftables.Chain) nativeID { return nativeID{c.Table.Family, c.Table.Name, c.Name} }

// find returns a chain, or nil.
func (n *native) find(id nativeID) *nftables.Chain {
	for _, c := range n.chains {
		if idOf(c) == id {
			return c
		}
	}
	return nil
}

// at returns the base chains of a hook that see packets of a family, but for those of
// iptables, in the order in which they do.
func (n *native) at(hook *nftables.ChainHook, f family) []*nftables.Chain {
	own := nftables.TableFamilyIPv4
	if f == ipv6 {
		own = nftables.TableFamilyIPv6
	}
	var list []*nftables.Chain
	for _, c := range n.chains {
		sees := c.Table.Family == own || c.Table.Family == nftables.TableFamilyINet
		if c.Hooknum != nil && *c.Hooknum == *hook && sees && !compat(c.Table) {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b *nftables.Chain) int { return cmp.Compare(*a.Priority, *b.Priority) })
	return list
}

// of reads the rules of a chain once.
func (n *native) of(c *nftables.Chain) ([]*nftables.Rule, error) {
	id := idOf(c)
	if rules, ok := n.rules[id]; ok {
		return rules, nil
	}
	rules, err := steady(func() ([]*nftables.Rule, error) { return n.conn.GetRules(c.Table, c) })
	if err != nil {
		return nil, fmt.Errorf("reading the rules of %v: %w", id, err)
	}
	n.rules[id] = rules
	return rules, nil
}

// set reads a set and its elements once.
func (n *native) set(t *nftables.Table, name string) (*nativeSet, error) {
	id := nativeID{t.Family, t.Name, name}
	if s := n.sets[id]; s != nil {
		return s, nil
	}
	set, err := n.conn.GetSetByName(t, name)
	if err != nil {
		return nil, fmt.Errorf("reading the set %v: %w", id, err)
	}
	elements, err := steady(func() ([]nftables.SetElement, error) { return n.conn.GetSetElements(set) })
	if err != nil {
		return nil, fmt.Errorf("reading the set %v: %w", id, err)
	}
	// The library takes a map's kind of data for that of its keys.
	if set.IsMap && (set.DataType.Name == nftables.TypeVerdict.Name || set.KeyType.Name == nftables.TypeVerdict.Name) {
		for i := range elements {
			elements[i].VerdictData = verdictOf(elements[i].Val)
		}
	}
	n.sets[id] = &nativeSet{set, elements}
	return n.sets[id], nil
}

// verdictOf reads what the library leaves as it came: NFTA_VERDICT_CODE and, for
// a jump, NFTA_VERDICT_CHAIN.
func verdictOf(attrs []byte) *expr.Verdict {
	// The library slices past the end of a last attribute that is not padded.
	padded := append(bytes.Clone(attrs), make([]byte, -len(attrs)&3)...)
	list, err := nl.ParseRouteAttr(padded)
	if err != nil {
		return nil
	}
	v := new(expr.Verdict)
	for _, a := range list {
		switch {
		case a.Attr.Type == unix.NFTA_VERDICT_CODE && len(a.Value) == 4:
			v.Kind = expr.VerdictKind(int32(binary.BigEndian.Uint32(a.Value)))
		case a.Attr.Type == unix.NFTA_VERDICT_CHAIN:
			v.Chain = unix.ByteSliceToString(a.Value)
		}
	}
	return v
}
