package netsetup

import (
	"errors"
	"os/exec"
	"strings"
)

// hostChains are the chains of the host's that our rules may stand in.
var hostChains = []struct{ table, chain string }{
	{"nat", "PREROUTING"}, {"nat", "OUTPUT"}, {"nat", "POSTROUTING"},
	{"filter", "INPUT"}, {"filter", "FORWARD"}, {"filter", dockerUser},
}

// ourHooks are the chains of ours that there may be, by table.
var ourHooks = []struct{ table, hook string }{
	{"nat", "POST"}, {"filter", "FWD"},
}

// salvage finds what belongs to a network by the marks that links and rules
// bear, and lists how to destroy it.
func (h *Host) salvage(bridge string) (Changes, error) {
	v, err := h.kernel.look()
	if err != nil {
		return nil, err
	}
	var changes Changes
	if l := v.links[bridge]; l != nil && newBridge(bridge, 0).ours(l) {
		changes = append(changes, Change{Delete, newBridge(bridge, 0)})
	}
	for _, f := range []Family{IPv4, IPv6} {
		rules, err := v.salvageRules(bridge, f)
		if errors.Is(err, exec.ErrNotFound) {
			continue // no iptables, no rules
		}
		if err != nil {
			return nil, err
		}
		changes = append(changes, rules...)
	}
	return changes, nil
}

func (v *view) salvageRules(bridge string, f Family) (Changes, error) {
	var changes Changes
	for _, c := range hostChains {
		have, err := v.chain(chainID{f, c.table, c.chain})
		if err != nil {
			return nil, err
		}
		for _, text := range have.rules {
			if strings.Contains(text, `--comment "rig `+bridge+`: `) {
				r := Rule{Family: f, Table: c.table, Chain: c.chain, Place: 1, Spec: splitRule(text)}
				changes = append(changes, Change{Delete, r})
			}
		}
	}
	for _, c := range ourHooks {
		name := chainName(bridge, c.hook)
		have, err := v.chain(chainID{f, c.table, name})
		if err != nil {
			return nil, err
		}
		if have.exists {
			changes = append(changes, Change{Delete, Chain{f, c.table, name}})
		}
	}
	return changes, nil
}

// splitRule takes a line of iptables -S apart into its words. A quoted word may
// hold spaces, and quotes and backslashes after a backslash.
func splitRule(text string) []string {
	var words []string
	var word strings.Builder
	quoted, escaped, begun := false, false, false
	for _, c := range text {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\':
			escaped, begun = true, true
		case c == '"':
			quoted, begun = !quoted, true
		case c == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}
