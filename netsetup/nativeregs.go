package netsetup

import (
	"bytes"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// registers are those of nftables' virtual machine: see linux/nf_tables.h. A
// byte whose value is not known here is marked so.
type registers struct {
	bytes [64]byte
	known [64]bool
}

// place returns where a register is. Registers 1 to 4 have 16 bytes, those from 8
// on are the same ones in pieces of 4.
func place(register uint32) int {
	switch {
	case register >= 8 && register < 24:
		return int(register-8) * 4
	case register >= 1 && register <= 4:
		return int(register-1) * 16
	}
	return 0
}

// load puts a value into a register; nil is one that is not known.
func (r *registers) load(register uint32, value []byte, length int) {
	at := place(register)
	for i := range (length + 3) / 4 * 4 {
		if at+i >= len(r.bytes) {
			return
		}
		r.bytes[at+i], r.known[at+i] = 0, value != nil
		if i < len(value) {
			r.bytes[at+i] = value[i]
		}
	}
}

// read returns what is in a register, or nil if that is not known.
func (r *registers) read(register uint32, length int) []byte {
	at := place(register)
	if at+length > len(r.bytes) || slices.Contains(r.known[at:at+length], false) {
		return nil
	}
	return bytes.Clone(r.bytes[at : at+length])
}

// bitwise is (a & mask) ^ xor. Bytes under a zero mask need not be known.
func (r *registers) bitwise(e *expr.Bitwise) {
	from, to := place(e.SourceRegister), place(e.DestRegister)
	for i := range int(e.Len) {
		if from+i >= len(r.bytes) || to+i >= len(r.bytes) || i >= len(e.Mask) || i >= len(e.Xor) {
			return
		}
		r.known[to+i] = r.known[from+i] || e.Mask[i] == 0
		r.bytes[to+i] = r.bytes[from+i]&e.Mask[i] ^ e.Xor[i]
	}
}

func (r *registers) byteorder(e *expr.Byteorder) {
	value := r.read(e.SourceRegister, int(e.Len))
	if size := int(e.Size); value != nil && size > 0 {
		for i := 0; i+size <= len(value); i += size {
			slices.Reverse(value[i : i+size])
		}
	}
	r.load(e.DestRegister, value, int(e.Len))
}

func (r *registers) cmp(e *expr.Cmp) verdict {
	value := r.read(e.Register, len(e.Data))
	if value == nil {
		return unknown
	}
	c := bytes.Compare(value, e.Data)
	switch e.Op {
	case expr.CmpOpEq:
		return truth(c == 0)
	case expr.CmpOpNeq:
		return truth(c != 0)
	case expr.CmpOpLt:
		return truth(c < 0)
	case expr.CmpOpLte:
		return truth(c <= 0)
	case expr.CmpOpGt:
		return truth(c > 0)
	case expr.CmpOpGte:
		return truth(c >= 0)
	}
	return unknown
}

func (r *registers) inRange(e *expr.Range) verdict {
	value := r.read(e.Register, len(e.FromData))
	if value == nil {
		return unknown
	}
	in := bytes.Compare(value, e.FromData) >= 0 && bytes.Compare(value, e.ToData) <= 0
	return truth(in == (e.Op == expr.CmpOpEq))
}

// lookup finds the element of a set that holds a key.
func (s *nativeSet) lookup(key []byte) (e *expr.Verdict, value []byte, found verdict) {
	for _, e := range s.elements {
		if e.KeyEnd != nil {
			return nil, nil, unknown // a range in a concatenation
		}
	}
	if !s.Interval {
		for _, e := range s.elements {
			if bytes.Equal(e.Key, key) {
				return e.VerdictData, e.Val, yes
			}
		}
		return nil, nil, no
	}
	// An interval begins with one element and ends before the next, which may be where
	// another one begins.
	sorted := slices.Clone(s.elements)
	slices.SortFunc(sorted, func(a, b nftables.SetElement) int {
		if c := bytes.Compare(a.Key, b.Key); c != 0 || a.IntervalEnd == b.IntervalEnd {
			return c
		}
		if a.IntervalEnd {
			return -1
		}
		return 1
	})
	for _, e := range slices.Backward(sorted) {
		if bytes.Compare(e.Key, key) <= 0 {
			return e.VerdictData, e.Val, truth(!e.IntervalEnd)
		}
	}
	return nil, nil, no
}
