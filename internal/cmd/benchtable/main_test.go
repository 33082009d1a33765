package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const output = `goos: linux
ratio exec 1.28ms 31ms 24.22
ratio pipe 900MB/s 1000MB/s 0.90
ratio broken 1 2
ratio worse 1 2 NaN-ish
figure rollback 450ms (median of 9)
slope net 0.1ms a machine
PASS
`

func TestResults(t *testing.T) {
	t.Parallel()
	var got results
	for line := range strings.Lines(output) {
		got.add(strings.TrimSuffix(line, "\n"))
	}
	want := results{
		ratios: []ratio{
			{name: "exec", ours: "1.28ms", theirs: "31ms", peer: "systemd-run -M --pipe --wait", value: 24.22},
			{name: "pipe", ours: "900MB/s", theirs: "1000MB/s", peer: "cat on the host", value: 0.9},
		},
		facts: []fact{{"rollback", "450ms (median of 9)"}, {"net", "0.1ms a machine"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(results{}, ratio{}, fact{})); diff != "" {
		t.Error(diff)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bench")
	var copied strings.Builder
	if err := run(strings.NewReader(output), &copied, dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(output, copied.String()); diff != "" {
		t.Errorf("the output was not passed on:\n%s", diff)
	}
	page, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if row := "| exec | 1.28ms | 31ms | 24.2× | systemd-run -M --pipe --wait |\n"; !strings.Contains(string(page), row) {
		t.Errorf("no row %q in\n%s", row, page)
	}
	picture, err := os.Open(filepath.Join(dir, "bench.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer picture.Close()
	bars := 0
	for decoder := xml.NewDecoder(picture); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 3 { // the page itself is one
		t.Errorf("%d rectangles, want 3", bars)
	}
}

func TestRunRefusesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bench")
	if err := run(strings.NewReader("PASS\n"), io.Discard, dir); err == nil {
		t.Error("no error for an output without ratios")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was made: %v", dir, err)
	}
}
