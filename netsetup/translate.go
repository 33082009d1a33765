package netsetup

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// translation is a rule of ours for iptables on its way to nftables: as nft(8) writes
// it and as the kernel has it. It knows what our rules are made of and no more.
type translation struct {
	family family
	words  []string
	exprs  []expr.Any
}

// translate returns the rule as text and as expressions.
func (r rule) translate() (string, []expr.Any, error) {
	t := translation{family: r.Family}
	parsed := parseRule(r.text())
	for _, m := range parsed.conditions {
		if err := t.condition(m); err != nil {
			return "", nil, fmt.Errorf("%v: %w", r, err)
		}
	}
	if err := t.target(parsed); err != nil {
		return "", nil, fmt.Errorf("%v: %w", r, err)
	}
	t.words = append(t.words, fmt.Sprintf("comment %q", r.comment()))
	return strings.Join(t.words, " "), t.exprs, nil
}

func (t *translation) condition(m ruleMatch) error {
	arg := ""
	if len(m.args) > 0 {
		arg = m.args[0]
	}
	switch m.option {
	case "-m", "--comment":
		return nil
	case "-i":
		t.compare("iifname "+quotedUnless(m.not, arg), m.not, padded(arg), &expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1})
	case "-o":
		t.compare("oifname "+quotedUnless(m.not, arg), m.not, padded(arg), &expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1})
	case "-s":
		return t.prefix("saddr", arg, m.not, 12, 8)
	case "-d":
		return t.prefix("daddr", arg, m.not, 16, 24)
	case "-p":
		w := walk{packet: Packet{Protocol: arg}}
		t.compare("meta l4proto "+arg, m.not, []byte{w.protocol()}, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1})
	case "--dport":
		port, err := strconv.ParseUint(arg, 10, 16)
		if err != nil {
			return err
		}
		t.compare("th dport "+arg, m.not, binaryutil.BigEndian.PutUint16(uint16(port)),
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2})
	case "--icmpv6-type":
		kind, err := strconv.ParseUint(arg, 10, 8)
		if err != nil {
			return err
		}
		t.compare("icmpv6 type "+arg, m.not, []byte{byte(kind)},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1})
	case "--dst-type":
		t.compare("fib daddr type local", m.not, binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL),
			&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true})
	case "--ctstate":
		return t.state(arg, m.not)
	default:
		return fmt.Errorf("the condition %s has no translation", m.option)
	}
	return nil
}

func quotedUnless(not bool, name string) string {
	if not {
		return fmt.Sprintf("!= %q", name)
	}
	return strconv.Quote(name)
}

// compare adds a comparison of what load puts into register 1.
func (t *translation) compare(text string, not bool, with []byte, load ...expr.Any) {
	op := expr.CmpOpEq
	if not {
		op = expr.CmpOpNeq
	}
	t.words = append(t.words, text)
	t.exprs = append(append(t.exprs, load...), &expr.Cmp{Op: op, Register: 1, Data: with})
}

func (t *translation) prefix(field, text string, not bool, at4, at6 uint32) error {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return err
	}
	load := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: at4, Len: 4}
	word := "ip " + field
	if t.family == ipv6 {
		load.Offset, load.Len, word = at6, 16, "ip6 "+field
	}
	if not {
		word += " !="
	}
	mask := &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: load.Len,
		Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()), Xor: make([]byte, load.Len)}
	t.compare(word+" "+text, not, p.Masked().Addr().AsSlice(), load, mask)
	return nil
}

// state knows lists of states, and DNAT, which nftables has as a status. Negated, both
// may stand side by side.
func (t *translation) state(list string, not bool) error {
	bits := map[string]uint32{"NEW": expr.CtStateBitNEW, "ESTABLISHED": expr.CtStateBitESTABLISHED,
		"RELATED": expr.CtStateBitRELATED, "INVALID": expr.CtStateBitINVALID}
	var mask uint32
	status := false
	for _, s := range strings.Split(list, ",") {
		if s == "DNAT" {
			status = true
		} else if bits[s] == 0 {
			return fmt.Errorf("the state %s has no translation", s)
		}
		mask |= bits[s]
	}
	if status && mask != 0 && !not {
		return fmt.Errorf("the states %s have no translation", list)
	}
	if mask != 0 {
		t.bits("ct state", stateText(binary.NativeEndian.AppendUint32(nil, mask)), expr.CtKeySTATE, mask, not)
	}
	if status {
		const dstNAT = 1 << 5
		t.bits("ct status", "dnat", expr.CtKeySTATUS, dstNAT, not)
	}
	return nil
}

// bits wants one of several bits, or none.
func (t *translation) bits(field, value string, key expr.CtKey, mask uint32, not bool) {
	text := field + " " + value
	if not {
		text = field + " & (" + strings.ReplaceAll(value, ",", "|") + ") == 0"
	}
	zero := make([]byte, 4)
	t.compare(text, !not, zero, &expr.Ct{Key: key, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binary.NativeEndian.AppendUint32(nil, mask), Xor: zero})
}

func (t *translation) target(r parsedRule) error {
	say := func(text string, exprs ...expr.Any) {
		t.words, t.exprs = append(t.words, text), append(t.exprs, exprs...)
	}
	switch r.target {
	case "ACCEPT":
		say("accept", &expr.Verdict{Kind: expr.VerdictAccept})
	case "DROP":
		say("drop", &expr.Verdict{Kind: expr.VerdictDrop})
	case "RETURN":
		say("return", &expr.Verdict{Kind: expr.VerdictReturn})
	case "MASQUERADE":
		say("masquerade", &expr.Masq{})
	case "DNAT":
		to, err := netip.ParseAddrPort(r.option("--to-destination"))
		if err != nil {
			return err
		}
		say("dnat to "+to.String(),
			&expr.Immediate{Register: 1, Data: to.Addr().AsSlice()},
			&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(to.Port())},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(t.family.native()), RegAddrMin: 1, RegAddrMax: 1,
				RegProtoMin: 2, RegProtoMax: 2, Specified: true})
	default:
		say("jump "+r.target, &expr.Verdict{Kind: expr.VerdictJump, Chain: r.target})
	}
	return nil
}
