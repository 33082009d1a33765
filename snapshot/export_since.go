package snapshot

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// exportSince writes what a snapshot differs by from the one of opts.
func (v *Volume) exportSince(ctx context.Context, name string, w io.Writer, opts ExportOptions) (string, error) {
	old, err := v.Find(ctx, opts.Since)
	if err != nil {
		return "", err
	}
	snap, err := v.Find(ctx, name)
	if err != nil {
		return "", err
	}
	if old.ID == "" {
		return "", fmt.Errorf("snapshot %s was taken by an older version and has no ID: %w", opts.Since, ErrNotSupported)
	}
	a, _, closeA, err := v.side(ctx, opts.Since)
	if err != nil {
		return "", err
	}
	defer closeA()
	b, _, closeB, err := v.side(ctx, name)
	if err != nil {
		return "", err
	}
	defer closeB()
	m := snap.manifest()
	m.Format, m.Since = 2, old.ID
	return exportTo(ctx, w, opts, m, func(e *exporter) error {
		x := &sinceExporter{exporter: e}
		defer x.leave(0)
		if err := x.enter(treeEntry, b); err != nil {
			return err
		}
		d := &differ{ctx: ctx, exact: true, report: x.change}
		return d.dirs("", a, b)
	})
}

// A sinceExporter writes the files that a differ reports. Each directory on the way to
// one is written before it, whether it was changed or not, so that whoever reads the
// stream is always in an open directory.
type sinceExporter struct {
	*exporter
	dirs    []exportedDir
	removed string // what has been written as removed last, with all below it
}

type exportedDir struct {
	name string
	file *os.File
}

func (x *sinceExporter) change(c Change, _ fileID) error {
	name := path.Join(treeEntry, c.Path)
	if c.Kind == Removed && x.removed != "" && strings.HasPrefix(name, x.removed+"/") {
		return nil
	}
	dir, err := x.enterParent(name)
	if err != nil {
		return err
	}
	if c.Kind == Removed {
		x.removed = name
		return x.write(&tar.Header{
			Name: name, Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
			PAXRecords: map[string]string{paxType: typeRemoved},
		})
	}
	st, there, err := statIn(dir, path.Base(name), true)
	if err != nil || !there {
		return err
	}
	if !isDir(&st) {
		return x.file(dir, path.Base(name), name, &st)
	}
	sub, err := openDirIn(dir, path.Base(name))
	if err != nil {
		return err
	}
	return x.enter(name, sub)
}

// enterParent writes the directories on the way to a name, but for those that are open.
func (x *sinceExporter) enterParent(name string) (*os.File, error) {
	parent := path.Dir(name)
	at := len(x.dirs) - 1
	for x.dirs[at].name != parent && !strings.HasPrefix(parent, x.dirs[at].name+"/") {
		at--
	}
	x.leave(at + 1)
	for {
		last := x.dirs[len(x.dirs)-1]
		rest := strings.TrimPrefix(strings.TrimPrefix(parent, last.name), "/")
		if rest == "" {
			return last.file, nil
		}
		next, _, _ := strings.Cut(rest, "/")
		sub, err := openDirIn(last.file, next)
		if err != nil {
			return nil, err
		}
		if err := x.enter(path.Join(last.name, next), sub); err != nil {
			return nil, err
		}
	}
}

// enter writes a directory and keeps it open.
func (x *sinceExporter) enter(name string, dir *os.File) error {
	x.dirs = append(x.dirs, exportedDir{name, dir})
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return &os.PathError{Op: "stat", Path: dir.Name(), Err: err}
	}
	return x.header(headerOf(name+"/", tar.TypeDir, &st), xattrsOfFile(int(dir.Fd()), dir.Name()))
}

// leave closes all directories but the first n. The root is its owner's.
func (x *sinceExporter) leave(n int) {
	for last := len(x.dirs) - 1; last >= n; last-- {
		if last > 0 {
			_ = x.dirs[last].file.Close()
		}
		x.dirs = x.dirs[:last]
	}
}
