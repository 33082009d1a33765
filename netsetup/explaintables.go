package netsetup

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"

	"github.com/google/nftables"
)

// station is something that a packet passes at a hook.
type station struct {
	priority int
	pass     func() error
}

// priorities are those of iptables' tables: see linux/netfilter_ipv4.h. nat has
// another where packets leave.
var priorities = map[string]int{"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}

var nativeHooks = map[string]*nftables.ChainHook{
	"PREROUTING":  nftables.ChainHookPrerouting,
	"INPUT":       nftables.ChainHookInput,
	"FORWARD":     nftables.ChainHookForward,
	"OUTPUT":      nftables.ChainHookOutput,
	"POSTROUTING": nftables.ChainHookPostrouting,
}

// look reads what is not iptables'.
func (w *walk) look() error {
	if _, err := w.v.native(); err != nil {
		return err
	}
	other, said, err := w.v.besides(familyOf(w.packet.Dst))
	if other == nil && said != "" {
		w.told.Unsure = append(w.told.Unsure, said)
	}
	if w.other = other; other != nil {
		w.step("%s has rules, too", said)
	}
	return err
}

// hook runs the packet through the chains of a hook: those of iptables in several
// tables, of its other backend, and of nftables' own tables.
func (w *walk) hook(chain string, tables ...string) error {
	var stations []station
	for _, table := range tables {
		at := priorities[table]
		if table == "nat" && (chain == "POSTROUTING" || chain == "INPUT") {
			at = 100
		}
		id := chainID{familyOf(w.packet.Dst), table, chain}
		stations = append(stations, station{at, func() error { return w.host(id) }})
		if w.other != nil {
			stations = append(stations, station{at, func() error { return w.otherHost(id) }})
		}
	}
	for _, c := range w.v.nft.at(nativeHooks[chain], familyOf(w.packet.Dst)) {
		stations = append(stations, station{int(*c.Priority), func() error { return w.base(c) }})
	}
	slices.SortStableFunc(stations, func(a, b station) int { return cmp.Compare(a.priority, b.priority) })
	for _, s := range stations {
		if err := s.pass(); err != nil {
			return err
		}
	}
	return nil
}

// host runs the packet through a chain of the host's.
func (w *walk) host(id chainID) error {
	missing, err := w.missing(id)
	if err == nil && !missing {
		_, err = w.chain(id, 0)
	}
	return err
}

// otherHost does it in the other backend.
func (w *walk) otherHost(id chainID) error {
	mine := w.v
	w.v, w.by = w.other, id.family.command()+"'s other backend, "
	defer func() { w.v, w.by = mine, "" }()
	return w.host(id)
}

// where names a rule.
func (w *walk) where(id chainID, number int, text string) string {
	return fmt.Sprintf("rule %d of %s%s/%s: %s", number, w.by, id.table, id.name, text)
}

// missing reports that a chain is not there, as nat/INPUT in old kernels, or that
// iptables is not.
func (w *walk) missing(id chainID) (bool, error) {
	have, err := w.v.chain(id)
	if errors.Is(err, exec.ErrNotFound) {
		return true, nil
	}
	return !have.exists, err
}

// maxDepth is deeper than rules may jump: the kernel refuses loops.
const maxDepth = 64

// chain runs the packet through a chain, and reports whether a rule decided.
func (w *walk) chain(id chainID, depth int) (bool, error) {
	have, err := w.v.chain(id)
	if err != nil || depth > maxDepth {
		return false, err
	}
	for i, text := range have.rules {
		switch parseRule(text).matches(w) {
		case unknown:
			w.told.Unsure = append(w.told.Unsure, w.where(id, i+1, text))
			continue
		case no:
			continue
		}
		decided, back, err := w.target(id, i+1, text, depth)
		if decided || back || err != nil {
			return decided, err
		}
	}
	if have.policy == "DROP" {
		return false, w.stop("the policy of %s%s/%s: DROP", w.by, id.table, id.name)
	}
	return false, nil
}

// target does what a matching rule says. back is to leave the chain.
func (w *walk) target(id chainID, number int, text string, depth int) (decided, back bool, err error) {
	r := parseRule(text)
	where := w.where(id, number, text)
	switch r.target {
	case "ACCEPT":
		w.step("is accepted by %s", where)
		return true, false, nil
	case "DROP", "REJECT":
		return false, false, w.stop("%s", where)
	case "RETURN":
		return false, true, nil
	case "DNAT":
		to, parseErr := netip.ParseAddrPort(r.option("--to-destination"))
		if parseErr == nil {
			w.packet.Dst, w.packet.Port, w.turned = to.Addr(), to.Port(), true
		}
		w.step("is turned by %s", where)
		return true, false, nil
	case "MASQUERADE", "SNAT":
		w.step("gets another source by %s", where)
		return true, false, nil
	}
	next := chainID{id.family, id.table, r.target}
	missing := r.target == ""
	if !missing {
		missing, err = w.missing(next)
	}
	if missing || err != nil {
		return false, false, err // LOG, MARK and the like go on
	}
	decided, err = w.chain(next, depth+1)
	return decided, r.gone, err
}
