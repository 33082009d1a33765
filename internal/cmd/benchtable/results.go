package main

import (
	"strconv"
	"strings"
)

// ratio is how many times quicker we are than a peer at one thing.
type ratio struct {
	name, ours, theirs, peer string
	value                    float64
}

// fact is a measured value without a peer.
type fact struct{ name, value string }

type results struct {
	ratios  []ratio
	facts   []fact
	sizes   []size
	tallies map[string]int
}

// add takes a line into account if it is one of ours; others are test output.
func (r *results) add(line string) {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "ratio":
		f := strings.Fields(rest)
		if len(f) != 4 {
			return
		}
		if value, err := strconv.ParseFloat(f[3], 64); err == nil && value > 0 {
			r.ratios = append(r.ratios, ratio{name: f[0], ours: f[1], theirs: f[2], peer: peers[f[0]], value: value})
		}
	case "figure", "slope":
		name, value, found := strings.Cut(rest, " ")
		if s, ok := parseSize(name, value); ok {
			r.sizes = append(r.sizes, s)
		} else if found {
			r.facts = append(r.facts, fact{name, value})
		}
	default:
		r.addTally(line)
	}
}
