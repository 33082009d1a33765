// Benchtable turns the output of make bench into doc/bench: a table and a chart.
//
// It copies its input to the standard output as it comes, and collects the lines
//
//	ratio NAME OURS THEIRS THEIRS/OURS
//	figure NAME VALUE…
//	slope NAME VALUE…
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: make bench | benchtable DIR\n\nWrites DIR/README.md and DIR/bench.svg from the lines that make bench prints.")
		os.Exit(2)
	}
	if err := run(os.Stdin, os.Stdout, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, dir string) error {
	var results results
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fmt.Fprintln(out, lines.Text())
		results.add(lines.Text())
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if len(results.ratios) == 0 {
		return fmt.Errorf("no ratio among the lines: nothing written")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "README.md"), page(results, machine()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "bench.svg"), chart(results.ratios), 0o644)
}
