package netsetup

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// guard keeps answers of DHCP servers, and advertisements of IPv6 routers, from
// leaving the bridge by an uplink that is on it. It is a table of its own in
// nftables' family for bridges, where iptables has nothing.
type guard struct {
	Bridge string `json:"bridge"`
	Uplink string `json:"uplink"`
}

func newGuard(n Network) guard { return guard{Bridge: n.Bridge, Uplink: n.Uplink} }

// String returns "guard of BRIDGE".
func (g guard) String() string { return "guard of " + g.Bridge }

// tableName is that of a network's table in nftables.
func tableName(bridge string) string { return "rig-" + bridge }

// guarded is what does not get out.
var guarded = []struct {
	why       string
	text      string
	etherType uint16
	protocol  byte
	at        uint32 // in the transport header
	value     []byte
}{
	{"no DHCP from machines", "ether type ip udp sport 67", unix.ETH_P_IP, unix.IPPROTO_UDP, 0, []byte{0, 67}},
	{"no DHCPv6 from machines", "ether type ip6 udp sport 547", unix.ETH_P_IPV6, unix.IPPROTO_UDP, 0, []byte{547 >> 8, 547 & 0xff}},
	{"no routers among machines", "ether type ip6 icmpv6 type nd-router-advert", unix.ETH_P_IPV6, unix.IPPROTO_ICMPV6, 0, []byte{134}},
}

// guardPriority is NF_BR_PRI_FILTER_BRIDGED. At 0, where br_netfilter is, the
// chain would be passed over if it was there before the first bridge.
const guardPriority = -200

var guardHooks = []struct {
	name string
	hook *nftables.ChainHook
}{{"forward", nftables.ChainHookForward}, {"output", nftables.ChainHookOutput}}

func (g guard) lines(unmake bool) []string {
	table := "bridge " + tableName(g.Bridge)
	if unmake {
		return []string{"nft delete table " + table}
	}
	lines := []string{"nft add table " + table}
	for _, h := range guardHooks {
		lines = append(lines, fmt.Sprintf("nft add chain %s %s '{ type filter hook %s priority %d; }'", table, h.name, h.name, guardPriority))
		for _, r := range guarded {
			lines = append(lines, fmt.Sprintf("nft add rule %s %s 'oifname %q %s drop comment %q'", table, h.name, g.Uplink, r.text, g.comment(r.why)))
		}
	}
	return lines
}

func (g guard) comment(why string) string { return "rig " + g.Bridge + ": " + why }

func (g guard) table() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyBridge, Name: tableName(g.Bridge)}
}

// present wants every rule as it was made.
func (g guard) present(v *view) (bool, error) {
	n, err := v.native()
	if err != nil {
		return false, err
	}
	for _, h := range guardHooks {
		c := n.find(nativeID{nftables.TableFamilyBridge, tableName(g.Bridge), h.name})
		if c == nil || c.Hooknum == nil || *c.Hooknum != *h.hook {
			return false, nil
		}
		rules, err := n.of(c)
		if err != nil || len(rules) != len(guarded) {
			return false, err
		}
		for i, r := range rules {
			if !sameRule(r, &nftables.Rule{Exprs: g.exprs(i), UserData: g.userData(i)}) {
				return false, nil
			}
		}
	}
	return true, nil
}

// create replaces the table in one transaction.
func (g guard) create(*kernel) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	table := conn.AddTable(g.table())
	conn.DelTable(table)
	table = conn.AddTable(g.table())
	for _, h := range guardHooks {
		accept := nftables.ChainPolicyAccept
		chain := conn.AddChain(&nftables.Chain{Name: h.name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: h.hook,
			Priority: nftables.ChainPriorityRef(guardPriority), Policy: &accept})
		for i := range guarded {
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: g.exprs(i), UserData: g.userData(i)})
		}
	}
	if err := conn.Flush(); errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%w: the kernel lacks nftables for bridges, without which a bridged uplink needs Bridged.AllowDHCP: %w", ErrNotSupported, err)
	} else if err != nil {
		return fmt.Errorf("making the table bridge %s: %w", table.Name, err)
	}
	return nil
}

func (g guard) destroy(*kernel) error { return deleteTable(g.table()) }

// deleteTable deletes a table with all that is in it.
func deleteTable(t *nftables.Table) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	conn.DelTable(t)
	if err := conn.Flush(); !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

func (g guard) userData(i int) []byte {
	return userdata.AppendString(nil, userdata.TypeComment, g.comment(guarded[i].why))
}

func (g guard) exprs(i int) []expr.Any {
	r := guarded[i]
	is := func(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, is(padded(g.Uplink)),
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1}, is(binaryutil.BigEndian.PutUint16(r.etherType)),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, is([]byte{r.protocol}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: r.at, Len: uint32(len(r.value))}, is(r.value),
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}

// sameRule compares a rule that was read with one that was made.
func sameRule(have, want *nftables.Rule) bool {
	return bytes.Equal(have.UserData, want.UserData) && describeExprs(have.Exprs) == describeExprs(want.Exprs)
}

func describeExprs(exprs []expr.Any) string {
	var b bytes.Buffer
	for _, e := range exprs {
		fmt.Fprintf(&b, "%T%+v\n", e, e)
	}
	return b.String()
}
