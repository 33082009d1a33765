package netsetup

import (
	"encoding/binary"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// meta returns what nftables knows of the packet beside its bytes; nil is what is
// not known here.
func (w *walk) meta(key expr.MetaKey) []byte {
	v4 := w.packet.Dst.Is4()
	switch key {
	case expr.MetaKeyIIFNAME:
		return padded(w.in)
	case expr.MetaKeyOIFNAME:
		return padded(w.out)
	case expr.MetaKeyIIF:
		return w.index(w.in)
	case expr.MetaKeyOIF:
		return w.index(w.out)
	case expr.MetaKeyL4PROTO:
		return []byte{w.protocol()}
	case expr.MetaKeyNFPROTO:
		if v4 {
			return []byte{unix.NFPROTO_IPV4}
		}
		return []byte{unix.NFPROTO_IPV6}
	case expr.MetaKeyPROTOCOL:
		if v4 {
			return []byte{0x08, 0x00}
		}
		return []byte{0x86, 0xdd}
	case expr.MetaKeyPKTTYPE:
		return []byte{unix.PACKET_HOST}
	}
	return nil
}

func padded(name string) []byte {
	return append([]byte(name), make([]byte, unix.IFNAMSIZ-len(name))...)
}

func (w *walk) index(link string) []byte {
	l := w.v.links[link]
	if l == nil {
		return make([]byte, 4)
	}
	return binary.NativeEndian.AppendUint32(nil, uint32(l.Attrs().Index))
}

// protocol is the number of the packet's.
func (w *walk) protocol() byte {
	switch w.packet.Protocol {
	case "tcp":
		return unix.IPPROTO_TCP
	case "udp":
		return unix.IPPROTO_UDP
	case "ipv6-icmp":
		return unix.IPPROTO_ICMPV6
	}
	return unix.IPPROTO_ICMP
}

// tracked returns what connection tracking says of the first packet of a
// connection: see nf_conntrack_common.h.
func (w *walk) tracked(key expr.CtKey) []byte {
	switch key {
	case expr.CtKeySTATE:
		return binary.NativeEndian.AppendUint32(nil, expr.CtStateBitNEW)
	case expr.CtKeySTATUS:
		const dstNAT = 1 << 5
		if w.turned {
			return binary.NativeEndian.AppendUint32(nil, dstNAT)
		}
		return make([]byte, 4)
	case expr.CtKeyDIRECTION:
		return []byte{0}
	}
	return nil
}

// payload returns bytes of the packet's headers, or nil if one of them is not
// known.
func (w *walk) payload(e *expr.Payload) []byte {
	var header []byte
	var known []bool
	set := func(at int, b ...byte) {
		copy(header[at:], b)
		for i := range b {
			known[at+i] = true
		}
	}
	header, known = make([]byte, 64), make([]bool, 64)
	switch {
	case e.Base == expr.PayloadBaseNetworkHeader && w.packet.Dst.Is4():
		set(0, 0x45)
		set(9, w.protocol())
		set(12, w.packet.Src.AsSlice()...)
		set(16, w.packet.Dst.AsSlice()...)
	case e.Base == expr.PayloadBaseNetworkHeader:
		set(6, w.protocol())
		set(8, w.packet.Src.AsSlice()...)
		set(24, w.packet.Dst.AsSlice()...)
	case e.Base == expr.PayloadBaseTransportHeader:
		switch w.packet.Protocol {
		case "tcp", "udp":
			set(2, byte(w.packet.Port>>8), byte(w.packet.Port))
		case "icmp":
			set(0, 8, 0) // an echo request
		case "ipv6-icmp":
			set(0, 128, 0)
		}
		if w.packet.Protocol == "tcp" {
			const syn = 2
			set(13, syn)
		}
	}
	from, to := int(e.Offset), int(e.Offset+e.Len)
	if to > len(header) || slices.Contains(known[from:to], false) {
		return nil
	}
	return header[from:to]
}

// fib returns what the routing table says of the packet; nil is what is not
// looked up here.
func (w *walk) fib(e *expr.Fib) []byte {
	if !e.ResultADDRTYPE || e.FlagIIF || e.FlagOIF {
		return nil
	}
	a := w.packet.Src
	if e.FlagDADDR {
		a = w.packet.Dst
	}
	kind := uint32(unix.RTN_UNICAST)
	switch {
	case w.isLocal(a):
		kind = unix.RTN_LOCAL
	case a.IsMulticast():
		kind = unix.RTN_MULTICAST
	}
	return binary.NativeEndian.AppendUint32(nil, kind)
}
