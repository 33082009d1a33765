package main

import "testing"

// TestDocumented fails for an exported name of a public package without a comment.
func TestDocumented(t *testing.T) {
	t.Parallel()
	f := figures{exported: map[string]int{}}
	if err := f.walk("../../.."); err != nil {
		t.Fatal(err)
	}
	if f.exported["../../../nspawn"] == 0 {
		t.Errorf("no name in nspawn: %v", f.exported)
	}
	for _, name := range f.undocumented {
		t.Errorf("%s is not documented", name)
	}
}
