package main

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
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
			r.ratios = append(r.ratios, ratio{name: f[0], ours: tidy(f[1]), theirs: tidy(f[2]), peer: peers[f[0]], value: value})
		}
	case "figure", "slope":
		name, value, found := strings.Cut(rest, " ")
		if s, ok := parseSize(name, value); ok {
			r.sizes = append(r.sizes, s)
		} else if found {
			r.facts = append(r.facts, fact{name, tidyAll(value)})
		}
	default:
		r.addTally(line)
	}
}

var someDuration = regexp.MustCompile(`\b\d+[0-9.]*(?:ns|µs|ms|s|m[0-9.]+s)\b`)

// tidyAll tidies the durations in a text.
func tidyAll(text string) string { return someDuration.ReplaceAllStringFunc(text, tidy) }

// tidy leaves three digits of a duration. A bare number is one of seconds.
func tidy(word string) string {
	if _, err := strconv.ParseFloat(word, 64); err == nil {
		word += "s"
	}
	took, err := time.ParseDuration(word)
	if err != nil || took <= 0 {
		return word
	}
	unit := math.Pow(10, math.Floor(math.Log10(float64(took)))-2)
	return took.Round(time.Duration(max(unit, 1))).String()
}
