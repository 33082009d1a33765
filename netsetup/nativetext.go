package netsetup

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// nativeText writes a rule down in much the way of `nft list`.
func nativeText(n *native, r *nftables.Rule) string {
	t := &nativeWriter{native: n, table: r.Table, names: make(map[int]string)}
	for _, e := range r.Exprs {
		if word := t.expression(e); word != "" {
			t.words = append(t.words, word)
		}
	}
	if comment, ok := userdata.GetString(r.UserData, userdata.TypeComment); ok {
		t.words = append(t.words, fmt.Sprintf("comment %q", comment))
	}
	return strings.Join(t.words, " ")
}

// nativeWriter remembers what the registers stand for.
type nativeWriter struct {
	*native
	table *nftables.Table
	names map[int]string // by place
	masks map[int][]byte
	words []string
}

func (t *nativeWriter) expression(e expr.Any) string {
	switch e := e.(type) {
	case *expr.Meta:
		t.names[place(e.Register)] = metaName(e.Key)
	case *expr.Ct:
		t.names[place(e.Register)] = ctName(e.Key)
	case *expr.Payload:
		t.names[place(e.DestRegister)] = t.payloadName(e)
	case *expr.Fib:
		t.names[place(e.Register)] = "fib"
	case *expr.Immediate:
		t.names[place(e.Register)] = t.value("", e.Data)
	case *expr.Bitwise:
		return t.bitwise(e)
	case *expr.Byteorder:
		t.names[place(e.DestRegister)] = t.names[place(e.SourceRegister)]
	case *expr.Cmp:
		return t.cmp(e)
	case *expr.Range:
		name := t.names[place(e.Register)]
		return fmt.Sprintf("%s%s %s-%s", name, not(e.Op), t.value(name, e.FromData), t.value(name, e.ToData))
	case *expr.Lookup:
		return t.lookup(e)
	case *expr.Verdict:
		return verdictText(e)
	case *expr.Reject:
		return "reject"
	case *expr.Masq:
		return "masquerade"
	case *expr.NAT:
		return t.nat(e)
	case *expr.Match:
		return "xt match " + e.Name
	case *expr.Target:
		return "xt target " + e.Name
	case *expr.Log:
		return "log"
	case *expr.Counter:
		return "counter"
	default:
		return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", e), "*expr."))
	}
	return ""
}

func (t *nativeWriter) nat(e *expr.NAT) string {
	kind := "snat"
	if e.Type == expr.NATTypeDestNAT {
		kind = "dnat"
	}
	return kind + " to " + t.names[place(e.RegAddrMin)]
}

// bitwise keeps the mask for the comparison that follows.
func (t *nativeWriter) bitwise(e *expr.Bitwise) string {
	to := place(e.DestRegister)
	t.names[to] = t.names[place(e.SourceRegister)]
	if t.masks == nil {
		t.masks = make(map[int][]byte)
	}
	t.masks[to] = e.Mask
	return ""
}

func (t *nativeWriter) cmp(e *expr.Cmp) string {
	at := place(e.Register)
	name, mask := t.names[at], t.masks[at]
	delete(t.masks, at)
	if name == "meta nfproto" {
		return "" // said by what follows
	}
	if name == "ct state" && mask != nil {
		return "ct state " + stateText(mask)
	}
	value := t.value(name, e.Data)
	if mask != nil {
		value += "/" + maskText(mask)
	}
	return fmt.Sprintf("%s%s %s", name, not(e.Op), value)
}

func not(op expr.CmpOp) string {
	switch op {
	case expr.CmpOpEq:
		return ""
	case expr.CmpOpNeq:
		return " !="
	case expr.CmpOpLt:
		return " <"
	case expr.CmpOpLte:
		return " <="
	case expr.CmpOpGt:
		return " >"
	}
	return " >="
}

func maskText(mask []byte) string {
	bits := 0
	for _, b := range mask {
		for ; b&0x80 != 0; b <<= 1 {
			bits++
		}
	}
	return fmt.Sprint(bits)
}

func (t *nativeWriter) lookup(e *expr.Lookup) string {
	name := t.names[place(e.SourceRegister)]
	if e.Invert {
		name += " !="
	}
	set, err := t.set(t.table, e.SetName)
	if err != nil || !set.Anonymous {
		return name + " @" + e.SetName
	}
	var list []string
	for _, el := range set.elements {
		if el.IntervalEnd {
			continue
		}
		word := t.value(t.names[place(e.SourceRegister)], el.Key)
		if el.VerdictData != nil {
			word += " : " + verdictText(el.VerdictData)
		}
		list = append(list, word)
	}
	if set.IsMap {
		name += " vmap"
	}
	return name + " { " + strings.Join(list, ", ") + " }"
}

func verdictText(v *expr.Verdict) string {
	switch v.Kind {
	case expr.VerdictAccept:
		return "accept"
	case expr.VerdictDrop:
		return "drop"
	case expr.VerdictReturn:
		return "return"
	case expr.VerdictJump:
		return "jump " + v.Chain
	case expr.VerdictGoto:
		return "goto " + v.Chain
	case expr.VerdictContinue:
		return "continue"
	case expr.VerdictQueue:
		return "queue"
	}
	return fmt.Sprintf("verdict %d", v.Kind)
}

func metaName(key expr.MetaKey) string {
	names := map[expr.MetaKey]string{
		expr.MetaKeyIIFNAME: "iifname", expr.MetaKeyOIFNAME: "oifname", expr.MetaKeyIIF: "iif", expr.MetaKeyOIF: "oif",
		expr.MetaKeyL4PROTO: "meta l4proto", expr.MetaKeyNFPROTO: "meta nfproto", expr.MetaKeyPROTOCOL: "meta protocol",
		expr.MetaKeyMARK: "meta mark", expr.MetaKeyPKTTYPE: "meta pkttype",
	}
	if name, ok := names[key]; ok {
		return name
	}
	return fmt.Sprintf("meta %d", key)
}

func ctName(key expr.CtKey) string {
	names := map[expr.CtKey]string{
		expr.CtKeySTATE: "ct state", expr.CtKeySTATUS: "ct status", expr.CtKeyDIRECTION: "ct direction", expr.CtKeyMARK: "ct mark",
	}
	if name, ok := names[key]; ok {
		return name
	}
	return fmt.Sprintf("ct %d", key)
}

func (t *nativeWriter) payloadName(e *expr.Payload) string {
	type field struct {
		base        expr.PayloadBase
		offset, len uint32
	}
	names := map[field]string{
		{expr.PayloadBaseNetworkHeader, 12, 4}: "ip saddr", {expr.PayloadBaseNetworkHeader, 16, 4}: "ip daddr",
		{expr.PayloadBaseNetworkHeader, 9, 1}: "ip protocol", {expr.PayloadBaseNetworkHeader, 8, 16}: "ip6 saddr",
		{expr.PayloadBaseNetworkHeader, 24, 16}: "ip6 daddr", {expr.PayloadBaseTransportHeader, 0, 2}: "th sport",
		{expr.PayloadBaseTransportHeader, 2, 2}: "th dport", {expr.PayloadBaseTransportHeader, 0, 1}: "icmp type",
	}
	if name, ok := names[field{e.Base, e.Offset, e.Len}]; ok {
		return name
	}
	// A subnet whose mask ends with a byte is compared without the rest.
	if whole, ok := names[field{e.Base, e.Offset, 4}]; ok && e.Len < 4 {
		return whole
	}
	return fmt.Sprintf("@%d,%d,%d", e.Base, e.Offset*8, e.Len*8)
}

// value writes down what a field is compared with.
func (t *nativeWriter) value(name string, b []byte) string {
	switch {
	case strings.HasSuffix(name, "ifname"):
		text, _, terminated := strings.Cut(string(b), "\x00")
		if !terminated && len(b) < unix.IFNAMSIZ {
			text += "*"
		}
		return fmt.Sprintf("%q", text)
	case strings.HasSuffix(name, "port") && len(b) >= 2:
		return fmt.Sprint(binary.BigEndian.Uint16(b))
	case strings.HasPrefix(name, "ct stat") && len(b) == 4:
		return stateText(b)
	case name == "meta l4proto" || name == "ip protocol":
		return protocolText(b)
	}
	if len(b) < 4 && strings.HasSuffix(name, "addr") {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(append(bytes.Clone(b), make([]byte, 4-len(b))...))), 8*len(b)).String()
	}
	if a, ok := netip.AddrFromSlice(b); ok && (name == "" || strings.HasSuffix(name, "addr")) {
		return a.String()
	}
	return fmt.Sprintf("0x%x", b)
}

func protocolText(b []byte) string {
	names := map[byte]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_ICMP: "icmp", unix.IPPROTO_ICMPV6: "ipv6-icmp"}
	if name, ok := names[b[0]]; ok {
		return name
	}
	return fmt.Sprint(b[0])
}

func stateText(mask []byte) string {
	if len(mask) < 4 {
		return fmt.Sprintf("0x%x", mask)
	}
	bits := binary.NativeEndian.Uint32(mask)
	var list []string
	for _, s := range []struct {
		bit  uint32
		name string
	}{
		{expr.CtStateBitINVALID, "invalid"}, {expr.CtStateBitESTABLISHED, "established"}, {expr.CtStateBitRELATED, "related"},
		{expr.CtStateBitNEW, "new"}, {expr.CtStateBitUNTRACKED, "untracked"},
	} {
		if bits&s.bit != 0 {
			list = append(list, s.name)
		}
	}
	if list == nil {
		return fmt.Sprintf("0x%x", bits)
	}
	return strings.Join(list, ",")
}
