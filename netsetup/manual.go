package netsetup

// Manual returns what Apply would make on a host that has nothing of n and no
// Docker. Unlike [Host.Plan] it looks at no host and needs no privileges, so that
// the same Network always prints the same commands. It validates n first.
func (n Network) Manual() (Changes, error) {
	if err := n.Validate(); err != nil {
		return nil, err
	}
	objects, err := n.wanted(nil)
	if err != nil {
		return nil, err
	}
	var changes Changes
	for _, o := range objects {
		changes = append(changes, Change{Add, o})
	}
	return changes, nil
}

// hasDocker reports whether Docker's chain for other people's rules is there. A
// nil view is that of a host without.
func (v *view) hasDocker(f family) (bool, error) {
	if v == nil {
		return false, nil
	}
	chain, err := v.chain(chainID{f, "filter", dockerUser})
	return chain.exists, err
}
