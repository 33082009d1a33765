package netsetup

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-iptables/iptables"
)

// chain is a chain of our own in one of iptables' tables.
type chain struct {
	Family family `json:"family"`
	Table  string `json:"table"`
	Name   string `json:"name"`
}

// String returns "IPv4 chain nat/NAME".
func (c chain) String() string { return fmt.Sprintf("%v chain %s/%s", c.Family, c.Table, c.Name) }

func (c chain) lines(unmake bool) []string {
	cmd := c.Family.command() + " -t " + c.Table
	if unmake {
		return []string{cmd + " -F " + c.Name, cmd + " -X " + c.Name}
	}
	return []string{cmd + " -N " + c.Name}
}

func (c chain) present(v *view) (bool, error) {
	have, err := v.chain(c.id())
	return have.exists, err
}

func (c chain) id() chainID { return chainID{c.Family, c.Table, c.Name} }

func (c chain) create(k *kernel) error {
	t, err := k.iptables(c.Family)
	if err != nil {
		return err
	}
	// Looking first would be one more process; that it is there is rare.
	if err = t.NewChain(c.Table, c.Name); err != nil {
		if exists, existsErr := t.ChainExists(c.Table, c.Name); exists && existsErr == nil {
			return nil
		}
	}
	return ruleError(err)
}

func (c chain) destroy(k *kernel) error {
	t, err := k.iptables(c.Family)
	if err != nil {
		return err
	}
	return ruleError(t.ClearAndDeleteChain(c.Table, c.Name))
}

// rule is one rule: at its place in a chain of our own, or first in a chain of
// the host's. Its comment names the network.
type rule struct {
	Family family   `json:"family"`
	Table  string   `json:"table"`
	Chain  string   `json:"chain"`
	Place  int      `json:"place"` // from 1
	Spec   []string `json:"spec"`  // in the order in which iptables -S prints it

	// after, if not nil, are the rules that come before it in a chain that is
	// not being made anew; then Place does not tell where it goes, for there may
	// be others in between.
	after []string
}

// String returns "IPv4 rule -t nat -A CHAIN …".
func (r rule) String() string {
	return fmt.Sprintf("%v rule -t %s -A %s %s", r.Family, r.Table, r.Chain, r.text())
}

// text is the rule as iptables -S prints it, without the chain.
func (r rule) text() string {
	words := make([]string, len(r.Spec))
	for i, w := range r.Spec {
		if words[i] = w; strings.ContainsRune(w, ' ') {
			words[i] = strconv.Quote(w)
		}
	}
	return strings.Join(words, " ")
}

func (r rule) lines(unmake bool) []string {
	verb := fmt.Sprintf("-I %s %d", r.Chain, r.Place)
	if unmake {
		verb = "-D " + r.Chain
	}
	return []string{fmt.Sprintf("%s -t %s %s %s", r.Family.command(), r.Table, verb, r.text())}
}

func (r rule) id() chainID { return chainID{r.Family, r.Table, r.Chain} }

func (r rule) present(v *view) (bool, error) {
	have, err := v.chain(r.id())
	return slices.Contains(have.rules, r.text()), err
}

func (r rule) create(k *kernel) error {
	t, err := k.iptables(r.Family)
	if err != nil {
		return err
	}
	place := r.Place
	if r.after != nil {
		lines, err := t.List(r.Table, r.Chain)
		if err != nil {
			return ruleError(err)
		}
		place = r.placeIn(parseChain(r.Chain, lines))
	}
	return ruleError(t.Insert(r.Table, r.Chain, place, r.Spec...))
}

// placeIn returns the place right behind the last of the rules that come before.
func (r rule) placeIn(have []string) int {
	for i, text := range slices.Backward(have) {
		if slices.Contains(r.after, text) {
			return i + 2
		}
	}
	return 1
}

// destroy deletes the rule as often as it is there: a chain that a second copy
// still jumps to could not be deleted.
func (r rule) destroy(k *kernel) error {
	t, err := k.iptables(r.Family)
	if err != nil {
		return err
	}
	for {
		exists, err := t.Exists(r.Table, r.Chain, r.Spec...)
		if notExist(err) {
			return nil // nor is the chain that it jumps to
		}
		if err != nil || !exists {
			return ruleError(err)
		}
		if err := t.Delete(r.Table, r.Chain, r.Spec...); err != nil && !notExist(err) {
			return ruleError(err)
		}
	}
}

// chainID is where a rule is.
type chainID struct {
	family family
	table  string
	name   string
}

// tableID is one of iptables' tables.
type tableID struct {
	family family
	table  string
}

// chainRules is what is there.
type chainRules struct {
	exists bool
	policy string   // of a chain of the host's
	rules  []string // as iptables -S prints them, without "-A CHAIN "
}

// chain reads a chain once. A table is first asked which chains it has: the
// answer for one that it has not is, in some versions, that it be incompatible.
func (v *view) chain(id chainID) (chainRules, error) {
	if have, ok := v.chains[id]; ok {
		return have, nil
	}
	if v.recorded != nil {
		v.chains[id] = v.recorded.recordedChain(id)
		return v.chains[id], nil
	}
	t, err := v.k.iptables(id.family)
	if err != nil {
		return chainRules{}, err
	}
	if have, ok := v.emptyChain(id); ok {
		v.chains[id] = have
		return have, nil
	}
	table := tableID{id.family, id.table}
	names, ok := v.tables[table]
	if !ok {
		if names, err = t.ListChains(id.table); err != nil {
			return chainRules{}, fmt.Errorf("reading the table %s: %w", id.table, ruleError(err))
		}
		v.tables[table] = names
	}
	have := chainRules{exists: slices.Contains(names, id.name)}
	if have.exists {
		lines, err := t.List(id.table, id.name)
		if err != nil {
			return chainRules{}, fmt.Errorf("reading the chain %s: %w", id.name, ruleError(err))
		}
		have.rules = parseChain(id.name, lines)
		if policy, ok := strings.CutPrefix(lines[0], "-P "+id.name+" "); ok {
			have.policy = policy
		}
	}
	v.chains[id] = have
	return have, nil
}

// parseChain takes the rules from the output of iptables -S CHAIN.
func parseChain(name string, lines []string) []string {
	var rules []string
	for _, l := range lines {
		if rule, ok := strings.CutPrefix(l, "-A "+name+" "); ok {
			rules = append(rules, rule)
		}
	}
	return rules
}

func notExist(err error) bool {
	var e *iptables.Error
	return errors.As(err, &e) && e.IsNotExist()
}

// ruleError makes ErrBusy of iptables' exit status 4 with the lock held by
// another program: see xtables_lock in iptables(8).
func ruleError(err error) error {
	var e *iptables.Error
	if errors.As(err, &e) && e.ExitStatus() == 4 && strings.Contains(e.Error(), "xtables lock") {
		return fmt.Errorf("%w: another program holds the lock of the rules: %w", ErrBusy, err)
	}
	return err
}
