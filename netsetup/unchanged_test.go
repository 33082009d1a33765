package netsetup

import (
	"errors"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// TestRulesAreReadOnce looks whether a second Apply trusts the kernel's count of
// transactions, and only as long as nobody else has had one.
func TestRulesAreReadOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.everything()
	h := l.host.open(t, l.state)
	trusts := func() (trusts bool) {
		t.Helper()
		if err := h.do(t.Context(), "test", "", func() error {
			trusts = h.kernel.unchanged(h.held[l.network.Bridge], generation())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return trusts
	}
	l.apply(t, h)
	if !trusts() {
		t.Error("after the first Apply the rules have to be read again")
	}
	l.apply(t, h)
	checkVerified(t, h, l.network)

	l.host.sh(t, "iptables -A FORWARD -s 192.0.2.1 -j DROP")
	if trusts() {
		t.Error("somebody's rule goes unnoticed")
	}
	l.apply(t, h)
	if !trusts() {
		t.Error("not trusted again after an Apply that found all there")
	}
	for _, damage := range []string{
		"iptables -F RIG-vz-prolo-FWD",
		"ip6tables -t nat -D POSTROUTING 1",
		"iptables -I RIG-vz-prolo-FWD 2 -j ACCEPT",
		"nft flush chain ip nat RIG-vz-prolo-POST",
	} {
		l.host.sh(t, damage)
		if err := h.Verify(t.Context(), l.network); !errors.Is(err, ErrDrift) {
			t.Errorf("after %q Verify says %v", damage, err)
		}
		l.apply(t, h)
		checkVerified(t, h, l.network)
	}
}

// TestSteady: what was read while the rules changed is read again.
func TestSteady(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	read := 0
	ns.do(t, func() error {
		got, err := steady(func() ([]int, error) {
			if read++; read > 1 {
				return []int{read}, nil
			}
			return []int{read}, exec.Command("nft", "add", "table", "ip", "t").Run()
		})
		if !slices.Equal(got, []int{2}) {
			t.Errorf("got %v of %d readings", got, read)
		}
		return err
	})
}

// TestAdjacentIntervals: where one interval ends another begins, in whatever order the
// kernel says so.
func TestAdjacentIntervals(t *testing.T) {
	t.Parallel()
	elements := []nftables.SetElement{
		{Key: []byte{0}, IntervalEnd: true}, {Key: []byte{10}}, {Key: []byte{20}, IntervalEnd: true}, {Key: []byte{20}}, {Key: []byte{30}, IntervalEnd: true},
	}
	for range 2 {
		for key, want := range map[byte]verdict{9: no, 10: yes, 19: yes, 20: yes, 29: yes, 30: no} {
			set := &nativeSet{&nftables.Set{Interval: true}, elements}
			if _, _, got := set.lookup([]byte{key}); got != want {
				t.Errorf("%d in %v: %v, want %v", key, elements, got, want)
			}
		}
		slices.Reverse(elements)
	}
}

func FuzzRegisters(f *testing.F) {
	f.Add(uint32(1), uint32(9), uint32(4), []byte{1, 2, 3, 4})
	f.Add(uint32(23), uint32(4), uint32(200), []byte{})
	f.Add(uint32(33), uint32(1), uint32(19), []byte{5, 0, 6, 0xd2, 0xd2})
	f.Fuzz(func(t *testing.T, from, to, length uint32, data []byte) {
		length %= 1 << 12
		r := new(registers)
		r.load(from, data, int(length))
		r.bitwise(&expr.Bitwise{SourceRegister: from, DestRegister: to, Len: length, Mask: data, Xor: data})
		r.byteorder(&expr.Byteorder{SourceRegister: to, DestRegister: from, Len: length, Size: 2})
		r.cmp(&expr.Cmp{Register: from, Data: data})
		r.inRange(&expr.Range{Register: to, FromData: data, ToData: data})
		verdictOf(data)
		acceptsAt(data, int(from%4096), int(to%256))
		(&nativeSet{&nftables.Set{Interval: true}, []nftables.SetElement{{Key: data}}}).lookup(data)
	})
}
