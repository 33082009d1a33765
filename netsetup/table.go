package netsetup

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// table is a network's rules of one family in a table of nftables' own, instead of
// in iptables' chains: see Options.Nftables. It is made and replaced in one
// transaction.
type table struct {
	Bridge string `json:"bridge"`
	Family family `json:"family"`
	Rules  []rule `json:"rules"` // as for iptables, jumps from the host's chains last
}

// table gathers the rules that iptables would get.
func (n Network) table(f family) table {
	t := table{Bridge: n.Bridge, Family: f}
	for _, o := range n.rules(f, false) {
		if r, ok := o.(rule); ok {
			t.Rules = append(t.Rules, r)
		}
	}
	return t
}

// overruled refuses what an accept in a table of our own would not help against: a
// packet has to pass every chain of a hook.
func (v *view) overruled(f family) error {
	tables, err := legacyTables(f)
	if err != nil {
		return err
	}
	n, err := v.native()
	if err != nil {
		return err
	}
	for _, c := range n.at(nftables.ChainHookForward, f) {
		if c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			tables = append(tables, idOf(c).String())
		}
	}
	for _, c := range n.chains {
		if compat(c.Table) && c.Table.Family == f.native() && c.Name == "FORWARD" && c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			tables = append(tables, idOf(c).String())
		}
	}
	if len(tables) > 0 {
		return fmt.Errorf("%w: a table of our own does not overrule %s: leave Options.Nftables off", ErrNotSupported, strings.Join(tables, ", "))
	}
	return nil
}

func (f family) native() nftables.TableFamily {
	if f == ipv6 {
		return nftables.TableFamilyIPv6
	}
	return nftables.TableFamilyIPv4
}

// String returns "IPv4 table rig-BRIDGE".
func (t table) String() string { return fmt.Sprintf("%v table %s", t.Family, tableName(t.Bridge)) }

func (t table) nft() *nftables.Table {
	return &nftables.Table{Family: t.Family.native(), Name: tableName(t.Bridge)}
}

// name is a chain's in the table: a hook's has iptables' table in it, too.
func (r rule) name() string {
	if nativeHooks[r.Chain] == nil {
		return r.Chain
	}
	return r.Table + "-" + r.Chain
}

// chains lists the table's chains, each before those that jump to it.
func (t table) chains() []rule {
	var list []rule
	for _, r := range t.Rules {
		if !slices.ContainsFunc(list, func(o rule) bool { return o.name() == r.name() }) {
			list = append(list, r)
		}
	}
	return list
}

// base is a chain as nftables has it.
func (r rule) base(t *nftables.Table) *nftables.Chain {
	c := &nftables.Chain{Name: r.name(), Table: t}
	if hook := nativeHooks[r.Chain]; hook != nil {
		accept := nftables.ChainPolicyAccept
		c.Hooknum, c.Policy, c.Type = hook, &accept, nftables.ChainType(r.Table)
		c.Priority = nftables.ChainPriorityRef(nftables.ChainPriority(r.priority()))
	}
	return c
}

func (r rule) priority() int {
	if r.Table == "nat" && r.Chain == "POSTROUTING" {
		return 100
	}
	return priorities[r.Table]
}

func (t table) lines(unmake bool) []string {
	name := familyName(t.Family.native()) + " " + tableName(t.Bridge)
	if unmake {
		return []string{"nft delete table " + name}
	}
	lines := []string{"nft add table " + name}
	for _, r := range t.chains() {
		line := "nft add chain " + name + " " + r.name()
		if nativeHooks[r.Chain] != nil {
			line += fmt.Sprintf(" '{ type %s hook %s priority %d; }'", r.Table, strings.ToLower(r.Chain), r.priority())
		}
		lines = append(lines, line)
	}
	for _, r := range t.Rules {
		text, _, err := r.translate()
		if err != nil {
			text = err.Error()
		}
		lines = append(lines, fmt.Sprintf("nft add rule %s %s '%s'", name, r.name(), text))
	}
	return lines
}

// present wants every rule as it was made.
func (t table) present(v *view) (bool, error) {
	if v.recorded != nil {
		have, ok := v.recorded.find(t.String()).(table)
		return ok && slices.EqualFunc(have.Rules, t.Rules, func(a, b rule) bool { return a.String() == b.String() }), nil
	}
	n, err := v.native()
	if err != nil {
		return false, err
	}
	for _, first := range t.chains() {
		c := n.find(nativeID{t.Family.native(), tableName(t.Bridge), first.name()})
		want := first.base(t.nft())
		if c == nil || (want.Hooknum != nil) && (c.Hooknum == nil || *c.Hooknum != *want.Hooknum) {
			return false, nil
		}
		rules, err := n.of(c)
		if err != nil {
			return false, err
		}
		same, err := t.same(first.name(), rules)
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// same compares the rules of one chain.
func (t table) same(chain string, have []*nftables.Rule) (bool, error) {
	for _, r := range t.Rules {
		if r.name() != chain {
			continue
		}
		want, err := r.made(t.nft())
		if err != nil || len(have) == 0 || !sameRule(have[0], want) {
			return false, err
		}
		have = have[1:]
	}
	return len(have) == 0, nil
}

// made is a rule as nftables has it.
func (r rule) made(t *nftables.Table) (*nftables.Rule, error) {
	_, exprs, err := r.translate()
	if err != nil {
		return nil, err
	}
	return &nftables.Rule{Table: t, Chain: &nftables.Chain{Name: r.name(), Table: t}, Exprs: exprs,
		UserData: userdata.AppendString(nil, userdata.TypeComment, r.comment())}, nil
}

func (r rule) comment() string {
	if i := slices.Index(r.Spec, "--comment"); i >= 0 && i+1 < len(r.Spec) {
		return r.Spec[i+1]
	}
	return ""
}

// create replaces the table by one of that name, in one transaction.
func (t table) create(*kernel) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	conn.DelTable(conn.AddTable(t.nft()))
	table := conn.AddTable(t.nft())
	for _, r := range t.chains() {
		conn.AddChain(r.base(table))
	}
	for _, r := range t.Rules {
		made, err := r.made(table)
		if err != nil {
			return err
		}
		conn.AddRule(made)
	}
	if err := conn.Flush(); errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return fmt.Errorf("%w: the kernel lacks what %s needs of nftables: %w", ErrNotSupported, t, err)
	} else if err != nil {
		return fmt.Errorf("making %v: %w", t, err)
	}
	return nil
}

func (t table) destroy(*kernel) error { return deleteTable(t.nft()) }
