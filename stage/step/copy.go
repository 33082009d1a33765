package step

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/internal/shell"
)

// Copy copies a file or a tree of the host into the machine, with modes and symbolic
// links. The owner becomes root. Files that are in the machine only stay there.
type Copy struct {
	// From is a file or directory of the host.
	From string

	// To is the absolute path that it gets in the machine, not that of the directory
	// to put it in. Missing directories are made.
	To string
}

// String names both ends.
func (c Copy) String() string { return fmt.Sprintf("copy %s to %s", c.From, c.To) }

// Validate returns an error that matches [stage.ErrInvalid] if a field is wrong.
func (c Copy) Validate() error {
	if c.From == "" {
		return invalid("nothing to copy from")
	}
	return absolute("target", c.To)
}

// Manual returns the copy as machinectl does it, on the host.
func (c Copy) Manual(machine string) []stage.Line {
	return []stage.Line{{Host: true, Text: fmt.Sprintf("machinectl copy-to %s %s %s", machine, shell.Quote(c.From), shell.Quote(c.To))}}
}

// Ingredients adds the content and modes of the tree, and where it goes.
func (c Copy) Ingredients(r *stage.Recipe) {
	r.Text("target", c.To)
	r.Content("content", c.From)
}

// unpack takes the target and the directory to unpack in.
const unpack = `d=$(dirname -- "$1") && mkdir -p -- "$d" && mkdir -p -- "$2" && exec tar -x --no-same-owner -p -f - -C "$2"`

// Run sends the tree as an archive.
func (c Copy) Run(ctx context.Context, s *stage.Session) error {
	from, err := filepath.EvalSymlinks(c.From)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	// A tree is unpacked in the target, a file beside it.
	into, name := c.To, "."
	if !info.IsDir() {
		into, name = filepath.Dir(c.To), filepath.Base(c.To)
	}
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := pack(ctx, w, from, name)
		w.CloseWithError(err)
		sent <- err
	}()
	err = s.Exec(ctx, stage.Command{Args: []string{"sh", "-c", unpack, "copy-tree", c.To, into}, Stdin: r})
	r.CloseWithError(io.ErrClosedPipe)
	if e := <-sent; e != nil && !errors.Is(e, io.ErrClosedPipe) {
		return errors.Join(e, err)
	}
	return err
}

// pack writes the tree at from as a tar archive, calling its top name.
func pack(ctx context.Context, w io.Writer, from, name string) error {
	tw := tar.NewWriter(w)
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return packOne(tw, path, filepath.Join(name, rel), d)
	})
	if err != nil {
		return err
	}
	return tw.Close()
}

func packOne(tw *tar.Writer, path, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	if info.Mode()&fs.ModeSocket != 0 {
		return nil // a socket is no content
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = name, 0, 0, "", ""
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(tw, f)
	if errors.Is(err, tar.ErrWriteTooLong) {
		return fmt.Errorf("%w: %s", stage.ErrChanged, path)
	}
	return err
}
