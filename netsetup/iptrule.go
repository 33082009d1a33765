package netsetup

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// parsedRule is a line of iptables -S, taken apart.
type parsedRule struct {
	conditions []ruleMatch
	target     string
	gone       bool // by -g: the packet does not come back to this chain
	options    []string
}

// ruleMatch is one condition.
type ruleMatch struct {
	option string
	not    bool
	args   []string
}

// parseRule reads a rule, without its chain.
func parseRule(text string) parsedRule {
	var r parsedRule
	words := splitRule(text)
	not := false
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w == "!" {
			not = true
			continue
		}
		if w == "-j" || w == "-g" {
			r.gone = w == "-g"
			if i+1 < len(words) {
				r.target, r.options = words[i+1], words[i+2:]
			}
			return r
		}
		m := ruleMatch{option: w, not: not}
		for i+1 < len(words) && words[i+1] != "!" && (m.option == "--comment" && len(m.args) == 0 || !strings.HasPrefix(words[i+1], "-")) {
			i++
			m.args = append(m.args, words[i])
		}
		r.conditions = append(r.conditions, m)
		not = false
	}
	return r
}

// option returns the value of an option of the target.
func (r parsedRule) option(name string) string {
	if i := slices.Index(r.options, name); i >= 0 && i+1 < len(r.options) {
		return r.options[i+1]
	}
	return ""
}

// matches says whether all conditions hold of the packet. One that cannot be
// decided matters only if none fails.
func (r parsedRule) matches(w *walk) verdict {
	result := yes
	for _, m := range r.conditions {
		v := m.holds(w)
		if m.not && v != unknown {
			v = yes - v
		}
		result = min(result, v)
		if result == no {
			return no
		}
	}
	return result
}

func (m ruleMatch) holds(w *walk) verdict {
	arg := ""
	if len(m.args) > 0 {
		arg = m.args[0]
	}
	switch m.option {
	case "-m", "--comment":
		return yes
	case "-s":
		return inPrefix(w.packet.Src, arg)
	case "-d":
		return inPrefix(w.packet.Dst, arg)
	case "-i":
		return truth(iface(arg, w.in))
	case "-o":
		return truth(iface(arg, w.out))
	case "-p":
		return truth(arg == w.packet.Protocol || arg == "all")
	case "--dport":
		return inPorts(w.packet.Port, arg)
	case "--dports":
		return anyPorts(w.packet.Port, strings.Split(arg, ","))
	case "--ctstate", "--state":
		return w.inState(strings.Split(arg, ","))
	case "--dst-type":
		return w.ofType(w.packet.Dst, arg)
	case "--src-type":
		return w.ofType(w.packet.Src, arg)
	}
	return unknown
}

func truth(b bool) verdict {
	if b {
		return yes
	}
	return no
}

func inPrefix(a netip.Addr, text string) verdict {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return unknown
	}
	return truth(p.Contains(a))
}

func anyPorts(port uint16, ranges []string) verdict {
	result := no
	for _, r := range ranges {
		result = max(result, inPorts(port, r))
	}
	return result
}

func inPorts(port uint16, text string) verdict {
	low, high, isRange := strings.Cut(text, ":")
	if !isRange {
		high = low
	}
	from, err := strconv.ParseUint(low, 10, 16)
	to, highErr := strconv.ParseUint(high, 10, 16)
	if err != nil || highErr != nil {
		return unknown
	}
	return truth(uint64(port) >= from && uint64(port) <= to)
}

// inState knows that the packet is the first of its connection.
func (w *walk) inState(states []string) verdict {
	return truth(slices.Contains(states, "NEW") || slices.Contains(states, "DNAT") && w.turned)
}

func (w *walk) ofType(a netip.Addr, kind string) verdict {
	if kind != "LOCAL" {
		return unknown
	}
	return truth(w.isLocal(a))
}
