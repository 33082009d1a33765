// Package nearest finds what somebody who misspelt a name is likely to have meant.
package nearest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Names returns up to three of the known names that differ little from the one that
// was asked for or begin with it, the nearest first.
func Names(name string, known []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var list []candidate
	for _, k := range known {
		asked, has := strings.ToLower(name), strings.ToLower(k)
		d := distance(asked, has)
		if len(name) > 1 && strings.HasPrefix(has, asked) {
			d = min(d, 1)
		}
		if d <= 1+len(name)/3 {
			list = append(list, candidate{k, d})
		}
	}
	slices.SortFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, c := range list[:min(3, len(list))] {
		names = append(names, c.name)
	}
	return names
}

// Hint returns a hint that names the known name nearest to a misspelt one, or "".
func Hint(name string, known []string) string {
	names := Names(name, known)
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(" (is it %q?)", names[0])
}

// distance counts the bytes to insert, delete or exchange to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
