// Benchtable turns the output of make bench into doc/bench: a table and a chart.
//
// It copies its input to the standard output as it comes, and collects the lines
//
//	ratio NAME OURS THEIRS THEIRS/OURS
//	figure NAME VALUE…
//	slope NAME VALUE…
//
// What make scale prints, "figure scale-MACHINES NAME VALUE NAME VALUE…", becomes a
// plot, and what make torture prints, "tally: PACKAGE, WHAT: NUMBER", a table.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: make bench | benchtable DIR\n\nWrites DIR/README.md and DIR/bench.svg from the lines that make bench prints,\nDIR/scale.svg from those of make scale,\nDIR/torture.md from those of make torture.")
		os.Exit(2)
	}
	if err := run(os.Stdin, os.Stdout, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, dir string) error {
	var results results
	var failures []string
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fmt.Fprintln(out, lines.Text())
		if failure.MatchString(lines.Text()) {
			failures = append(failures, lines.Text())
		}
		results.add(lines.Text())
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if len(results.ratios)+len(results.sizes)+len(results.tallies) == 0 {
		return fmt.Errorf("no ratio, size or tally among the lines: nothing written")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files := map[string][]byte{}
	if len(results.ratios) > 0 {
		files["README.md"], files["bench.svg"] = page(results, machine()), chart(results.ratios)
	}
	if len(results.sizes) > 0 {
		files["scale.svg"] = scalePlot(results.sizes)
	}
	if len(results.tallies) > 0 {
		files["torture.md"] = tallyPage(results.tallies, machine())
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	if len(failures) > 0 {
		return fmt.Errorf("the tables are written, but not all went well:\n%s", strings.Join(failures, "\n"))
	}
	return nil
}

var failure = regexp.MustCompile(`^(FAIL\t|panic:|--- FAIL)`)
