//go:build cgo

package snapshot

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BenchmarkDiff: a hundred changes, against what rsync finds out without copying.
func BenchmarkDiff(b *testing.B) {
	if _, err := exec.LookPath("rsync"); err != nil {
		b.Skip("needs rsync")
	}
	v := btrfsBench(b, entries)
	take(b, v, "before", Metadata{})
	for i := range 100 {
		write(b, filepath.Join(v.Path(), fmt.Sprintf("d%d/d%d/f%d", i/10, i*10, i*1000+2)), "changed")
	}
	take(b, v, "after", Metadata{})
	c := contest{name: "diff"}
	for b.Loop() {
		c.run(b, func() error {
			n := 0
			for _, err := range v.Diff(b.Context(), "before", "after") {
				if err != nil {
					return err
				}
				n++
			}
			if n != 100 {
				return fmt.Errorf("%d changes", n)
			}
			return nil
		}, func() error {
			return command("rsync", "-aHAXn", "--delete", "--itemize-changes", v.frozen("after")+"/", v.frozen("before")+"/")
		})
	}
	c.report(b)
}

// BenchmarkExport: against tar and zstd, which make no digest.
func BenchmarkExport(b *testing.B) {
	if _, err := exec.LookPath("zstd"); err != nil {
		b.Skip("needs zstd")
	}
	v := btrfsBench(b, entries)
	take(b, v, "s", Metadata{})
	out := filepath.Join(b.TempDir(), "out")
	c := contest{name: "export"}
	for b.Loop() {
		c.run(b, func() error {
			f, err := os.Create(out)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = v.Export(b.Context(), "s", f, ExportOptions{})
			return err
		}, func() error {
			return command("tar", "--zstd", "--xattrs", "--acls", "-cf", out, "-C", v.frozen("s"), ".")
		})
	}
	c.report(b)
}
