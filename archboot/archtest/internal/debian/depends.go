package debian

import (
	"maps"
	"slices"
	"strings"
)

// dependencies are the Arch packages that a draft needs: what its recipe says and
// what Debian's Depends of its parts name.
func (p *partition) dependencies(d *draft) []string {
	need := set(d.depends...)
	if !d.independent {
		for _, part := range d.parts {
			for _, relation := range part.depends {
				if name := p.resolve(relation); name != "" {
					need[name] = true
				}
			}
		}
	}
	for _, name := range d.ignore {
		if !slices.Contains(d.depends, name) {
			delete(need, name)
		}
	}
	delete(need, d.name)
	return slices.Sorted(maps.Keys(need))
}

// resolve picks the alternative of "a | b" that is installed, by name or because
// an installed package provides it, and returns its Arch name; "" when that is
// plumbing.
func (p *partition) resolve(relation string) string {
	names := strings.Split(relation, " | ")
	debs := p.layers[len(p.layers)-1].debs
	for _, name := range names {
		if plumbing[name] {
			return ""
		}
		if _, ok := debs[name]; ok {
			return p.arch(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(debs)) {
		if slices.ContainsFunc(names, func(n string) bool { return slices.Contains(debs[name].provides, n) }) {
			if plumbing[name] {
				return ""
			}
			return p.arch(name)
		}
	}
	return ""
}
