package docs_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/netsetup"
)

// TestSymptoms looks for the messages that the table of symptoms quotes, up to "…", among
// those that there are.
func TestSymptoms(t *testing.T) {
	t.Parallel()
	messages := []string{
		(&netsetup.ConflictError{Want: "10.0.0.0/24", Err: netsetup.ErrOverlap}).Error(),
		(&netsetup.ConflictError{Want: "bridge vz-prolo", Err: netsetup.ErrExists}).Error(),
		(&lab.TakenError{}).Error(),
	}
	quoted := 0
	for line := range strings.Lines(section(t, "network.md", "## Why does a packet not get through?")) {
		rest, code := strings.CutPrefix(line, "| `")
		symptom, _, message := strings.Cut(rest, "…` |")
		if !code || !message {
			continue
		}
		quoted++
		if !slices.ContainsFunc(messages, func(m string) bool { return strings.Contains(m, symptom) }) {
			t.Errorf("nothing says %q", symptom)
		}
	}
	if quoted != len(messages) {
		t.Errorf("%d messages are quoted, want %d", quoted, len(messages))
	}
}
