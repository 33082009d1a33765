package archboot

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prologin/rig/internal/intree"
)

// nearest returns up to three of the names that differ little from the one that
// was asked for.
func nearest(want string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var list []candidate
	for _, n := range names {
		d := distance(strings.ToLower(want), strings.ToLower(n))
		if d <= 2+len(want)/4 {
			list = append(list, candidate{n, d})
		}
	}
	slices.SortFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var out []string
	for _, c := range list[:min(3, len(list))] {
		out = append(out, c.name)
	}
	return out
}

// distance counts the letters to insert, delete or exchange to get from a to b.
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

// nearZones looks through the list of zones for names like the one asked for.
func nearZones(t *intree.Tree, zone string) []string {
	for _, file := range []string{"tzdata.zi", "zone1970.tab", "zone.tab"} {
		data, err := t.ReadFile(zoneDir + "/" + file)
		if err != nil {
			continue
		}
		var names []string
		for line := range strings.Lines(string(data)) {
			for _, word := range strings.Fields(line) {
				if strings.Contains(word, "/") && zonePattern.MatchString(word) {
					names = append(names, word)
				}
			}
		}
		return nearest(zone, names)
	}
	return nil
}
