package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// addTally counts a line of a test's log that ends in "tally: PACKAGE, WHAT: NUMBER".
// What several tests count by one name is added up.
func (r *results) addTally(line string) {
	_, rest, found := strings.Cut(line, "tally: ")
	what, number, _ := strings.Cut(rest, ": ")
	n, err := strconv.Atoi(number)
	if !found || err != nil {
		return
	}
	if r.tallies == nil {
		r.tallies = map[string]int{}
	}
	r.tallies[what] += n
}

// tallyPage renders the tallies as Markdown.
func tallyPage(tallies map[string]int, machine string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Torture\n\n`make torture` wrote this page. After each of these nothing was lost, left behind or let out;\na test fails otherwise.\n\n%s\n\n| package | what | times |\n|---|---|---:|\n", machine)
	for _, what := range slices.Sorted(maps.Keys(tallies)) {
		pkg, deed, _ := strings.Cut(what, ", ")
		fmt.Fprintf(&out, "| %s | %s | %d |\n", pkg, deed, tallies[what])
	}
	return out.Bytes()
}
