package snapshot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A stack is what an overlay is mounted of: a layer to write to, none in a frozen one,
// and those below it, topmost first. It is kept as the target of a symbolic link, which
// is made, moved and exchanged in one step.
type stack struct {
	upper string
	lower []string
}

func (s stack) String() string {
	return strings.Join(append([]string{s.upper}, s.lower...), ":")
}

// names are those of all layers.
func (s stack) names() []string {
	if s.upper == "" {
		return s.lower
	}
	return append([]string{s.upper}, s.lower...)
}

func parseStack(text string) (stack, error) {
	names := strings.Split(text, ":")
	if len(names) < 2 {
		return stack{}, fmt.Errorf("stack %q: %w", text, ErrCorrupt)
	}
	for i, name := range names {
		if strings.ContainsAny(name, "/,\\.") || name == "" && i > 0 {
			return stack{}, fmt.Errorf("layer %q: %w", name, ErrCorrupt)
		}
	}
	return stack{names[0], names[1:]}, nil
}

func readStack(path string) (stack, error) {
	text, err := os.Readlink(path)
	if err != nil {
		return stack{}, err
	}
	return parseStack(text)
}

func writeStack(ctx context.Context, path string, s stack) error {
	return step(ctx, "write stack", func() error { return os.Symlink(s.String(), path) })
}

// replaceStack writes s in place of the stack at path. The draft that a crash leaves is
// taken over by the next call, and removed by sweep.
func replaceStack(ctx context.Context, path string, s stack) error {
	draft := filepath.Join(stateOf(path), "overlay", "draft")
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeStack(ctx, draft, s); err != nil {
		return err
	}
	return rename(ctx, draft, path, 0)
}

// placed reports whether a tree is where a volume shows it: beside the store's state. The
// store's own directory may well lie below another that is called so.
func placed(path string) bool {
	there, _ := present(filepath.Join(filepath.Dir(path), stateDir))
	return there
}

// stateOf is the directory in which the store of a tree keeps its state.
func stateOf(path string) string {
	if !placed(path) {
		if at := strings.LastIndex(path, "/"+stateDir+"/"); at >= 0 {
			return path[:at+1] + stateDir
		}
	}
	return filepath.Join(filepath.Dir(path), stateDir)
}

// stackOf is where the stack of a tree is: in the place of one that is not placed.
func stackOf(path string) string {
	if !placed(path) {
		return path
	}
	return filepath.Join(stateOf(path), "overlay", "stacks", filepath.Base(path))
}

// layers is the directory that holds the layers of a store. Each has the directories
// "diff", with the files, and "work", which the kernel uses while it is written to.
type layers string

func layersOf(path string) layers { return layers(filepath.Join(stateOf(path), "overlay", "layers")) }

func newLayer() string { return rand.Text()[:13] }

func (l layers) path(name string) string { return filepath.Join(string(l), name) }

func (l layers) diff(name string) string { return filepath.Join(string(l), name, "diff") }

func (l layers) make(name string) error {
	return errors.Join(os.MkdirAll(l.diff(name), 0o755), os.Mkdir(filepath.Join(l.path(name), "work"), 0o700))
}

// onTop makes the upper layer of a stack. The root of a tree is that of its topmost
// layer: it takes the attributes of the one below.
func (l layers) onTop(ctx context.Context, s stack) error {
	return step(ctx, "make layer", func() error {
		if err := l.make(s.upper); err != nil {
			return err
		}
		below, err := os.Open(l.diff(s.lower[0]))
		if err != nil {
			return err
		}
		defer below.Close()
		top, err := os.Open(l.diff(s.upper))
		if err != nil {
			return err
		}
		defer top.Close()
		var st unix.Stat_t
		if err := unix.Fstat(int(below.Fd()), &st); err != nil {
			return err
		}
		return copyAttributes(int(top.Fd()), int(below.Fd()), &st, top.Name())
	})
}

// options are what overlayfs mounts a stack by, whose layers are in dir. A frozen stack of
// one layer is mounted with an empty one below, since overlayfs wants two.
func (s stack) options(dir string) string {
	options := "redirect_dir=on,index=off,metacopy=off"
	var lower []string
	for _, name := range s.lower {
		lower = append(lower, filepath.Join(dir, name, "diff"))
	}
	if s.upper == "" {
		lower = append(lower, filepath.Join(dir, ".empty"))
	} else {
		options += ",upperdir=" + filepath.Join(dir, s.upper, "diff") + ",workdir=" + filepath.Join(dir, s.upper, "work")
	}
	return options + ",lowerdir=" + strings.Join(lower, ":")
}

// mount mounts a stack. The kernel takes one page of options: the paths in it go by
// way of a descriptor to be short.
func (l layers) mount(s stack, path string) error {
	dir, err := os.Open(string(l))
	if err != nil {
		return err
	}
	defer dir.Close()
	flags := uintptr(0)
	if s.upper == "" {
		if err := os.MkdirAll(l.path(".empty"), 0o700); err != nil {
			return err
		}
		flags = unix.MS_RDONLY
	}
	if err := unix.Mount("overlay", path, "overlay", flags, s.options(fdPath(dir))); err != nil {
		return &os.PathError{Op: "mount overlay on", Path: path, Err: err}
	}
	return nil
}

// tryMount mounts a stack nowhere: nothing of that outlives a process that is killed.
func (l layers) tryMount(s stack) error {
	dir, err := os.Open(string(l))
	if err != nil {
		return err
	}
	defer dir.Close()
	config, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(config)
	for option := range strings.SplitSeq(s.options(fdPath(dir)), ",") {
		key, value, _ := strings.Cut(option, "=")
		if err := unix.FsconfigSetString(config, key, value); err != nil {
			return os.NewSyscallError("fsconfig "+option, err)
		}
	}
	if err := unix.FsconfigCreate(config); err != nil {
		return os.NewSyscallError("fsconfig", err)
	}
	mount, err := unix.Fsmount(config, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fsmount", err)
	}
	return unix.Close(mount)
}

// collapse copies a frozen stack into a single layer.
func (l layers) collapse(ctx context.Context, s stack) (stack, error) {
	dir, release, err := l.view(s)
	if err != nil {
		return stack{}, err
	}
	one := newLayer()
	err = step(ctx, "make layer", func() error { return os.Mkdir(l.path(one), 0o700) })
	if err == nil {
		err = copyTree(ctx, l.diff(one), dir)
	}
	return stack{lower: []string{one}}, errors.Join(err, release())
}

// sweep removes the layers that no stack of the store has, and the mounts of views
// whose process is dead. Only the holder of the store's lock may call it.
func (l layers) sweep(ctx context.Context) error {
	if there, err := present(string(l)); err != nil || !there {
		return err
	}
	used, err := l.used()
	if err != nil {
		return err
	}
	if err := l.sweepViews(ctx); err != nil {
		return err
	}
	all, err := os.ReadDir(string(l))
	if err != nil {
		return err
	}
	for _, e := range all {
		if used[e.Name()] > 0 || e.Name() == ".empty" && len(used) > 0 {
			continue
		}
		if err := step(ctx, "remove layer", func() error { return os.RemoveAll(l.path(e.Name())) }); err != nil {
			return err
		}
	}
	draft := filepath.Join(filepath.Dir(string(l)), "draft")
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(used) > 0 {
		return nil
	}
	return step(ctx, "remove layers", func() error { return os.RemoveAll(filepath.Dir(string(l))) })
}

// used counts the stacks of the store that have each layer.
func (l layers) used() (map[string]int, error) {
	state := filepath.Dir(filepath.Dir(string(l)))
	used := map[string]int{}
	for _, pattern := range []string{
		"overlay/stacks/*", "volumes/*/snapshots/*/tree",
		"work/*/tree", "work/*/item/tree", "work/*/record/snapshots/*/tree", "work/*/parts/*/tree",
	} {
		found, err := filepath.Glob(filepath.Join(globEscape(state), pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			s, err := readStack(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted meanwhile
			}
			if err != nil {
				return nil, err
			}
			for _, name := range s.names() {
				used[name]++
			}
		}
	}
	return used, nil
}

// globEscape makes a path match only itself.
func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}
