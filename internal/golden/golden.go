// Package golden compares what a test has made with a file that somebody has read.
package golden

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the tests have made to the files that they compare it with")

// Equal fails the test if the file does not hold the text. With the flag -update, it
// writes the text to the file.
func Equal(t testing.TB, file, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(text, "\n")); diff != "" {
		t.Errorf("%s is not what the test has made; if that is wanted, go test -update writes it (-file +made):\n%s", file, diff)
	}
}
