package golden_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/internal/golden"
)

// recorder is a test that notes its faults.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestEqual(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("one\ntwo\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, file, "one\ntwo\n")
	r := &recorder{TB: t}
	golden.Equal(r, file, "one\nthree\n")
	if len(r.errors) != 1 || !strings.Contains(r.errors[0], "three") || !strings.Contains(r.errors[0], file) {
		t.Errorf("faults of another text: %q", r.errors)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "one\ntwo\n" {
		t.Errorf("the file is now %q, %v", data, err)
	}
}
