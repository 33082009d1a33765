package main

import (
	"bytes"
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
		facts: []fact{{"rollback", "450ms (median of 9)"}, {"net", "100µs a machine"}},
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
	if bars := elements(t, picture)["rect"]; bars != 3 { // the page itself is one
		t.Errorf("%d rectangles, want 3", bars)
	}
}

// elements counts the elements of a picture by their names.
func elements(t *testing.T, picture io.Reader) map[string]int {
	t.Helper()
	count := map[string]int{}
	for decoder := xml.NewDecoder(picture); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			count[start.Name.Local]++
		}
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lines := "figure scale-100 all 4m10s each 2.5s memory 1.5GiB new 3\nfigure scale-1 all 5s each 5s\nfigure scale-x all 1s\n"
	if err := run(strings.NewReader(lines), io.Discard, dir); err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile(filepath.Join(dir, "scale.svg"))
	if err != nil {
		t.Fatal(err)
	}
	count := elements(t, bytes.NewReader(picture))
	if count["polyline"] != 3 || count["circle"] != 5 {
		t.Errorf("%d curves and %d points, want 3 and 5", count["polyline"], count["circle"])
	}
	for _, label := range []string{">250 s<", ">2.5 s<", ">1536 MiB<"} {
		if !strings.Contains(string(picture), label) {
			t.Errorf("no label %s", label)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "README.md")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a table without ratios was written: %v", err)
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

func TestTallies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lines := "    crash_test.go:193: tally: snapshot, killed: 40\n    tally: snapshot, killed: 2\ntally: nspawn, traps: 7\ntally: none\n"
	if err := run(strings.NewReader(lines), io.Discard, dir); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "torture.md"))
	if want := "---:|\n| nspawn | traps | 7 |\n| snapshot | killed | 42 |\n"; err != nil || !strings.HasSuffix(string(page), want) {
		t.Errorf("%v: no table %q at the end of\n%s", err, want, page)
	}
}

func TestFailuresAreTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lines := "tally: nspawn, traps: 7\n--- FAIL: TestKill (2.1s)\nFAIL\tgithub.com/prologin/rig/nspawn\t3s\n"
	if err := run(strings.NewReader(lines), io.Discard, dir); err == nil || !strings.Contains(err.Error(), "TestKill") {
		t.Errorf("%v, want an error that names the test", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "torture.md")); err != nil {
		t.Errorf("what was counted is not written: %v", err)
	}
}

func TestTidy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"p50 1.342ms p99 14.508ms, 12.4 times p50":        "p50 1.34ms p99 14.5ms, 12.4 times p50",
		"24 machines said hello after 4.531s, 11025 KiB":  "24 machines said hello after 4.53s, 11025 KiB",
		"6.24987737s and 394.948396ms and 999.9µs or 7ns": "6.25s and 395ms and 1ms or 7ns",
		"1m6.4321s": "1m6.4s",
	} {
		if got := tidyAll(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := tidy("0.078"); got != "78ms" {
		t.Errorf("seconds: %s", got)
	}
}
