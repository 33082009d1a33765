package testroot

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// Debian releases that roots are made of, for the systemd that each brings.
const (
	Bookworm = "bookworm" // systemd 252
	Trixie   = "trixie"   // systemd 257
	Sid      = "sid"      // the newest, as Arch has; wants a pure cgroup v2 view
)

// Config says which root to build. The zero value of each field but Suite is
// useful.
type Config struct {
	Suite    string    // a Debian release, see the constants
	Packages []string  // beyond the packages that every root has
	Output   io.Writer // mmdebstrap's messages while it works; nil for none
}

// base is what every root has beyond mmdebstrap's minbase.
var base = []string{"systemd", "systemd-sysv", "dbus", "iproute2"}

// recipe is counted up when [prepare] or the call of mmdebstrap changes, so that
// roots of the older recipe are no longer used.
const recipe = 1

// Key tells apart roots that differ: the suite and a hash of everything that
// goes into one.
func (c Config) Key() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", recipe, c.Suite, c.packages()))
	return fmt.Sprintf("%s-%x", c.Suite, sum[:6])
}

func (c Config) packages() []string {
	return slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(base), c.Packages...))))
}

// Build returns the directory of the root that cfg describes, making it first if
// it is not in the cache (some 15 s and 110 MB for the smallest). Do not write
// to it: others boot from it. Making needs root privileges; the error is an
// [*Error]. Concurrent calls, of other processes too, make it once.
func Build(ctx context.Context, cfg Config) (string, error) {
	dir := filepath.Join(CacheDir(), "testroot")
	root, err := Once(ctx, dir, cfg.Key(), func(ctx context.Context, path string) error {
		return Make(ctx, path, cfg)
	})
	if err != nil && !errors.As(err, new(*Error)) {
		err = &Error{Op: "build", Suite: cfg.Suite, Err: err}
	}
	return root, err
}

// Make makes the root that cfg describes at path, which must not exist, without
// looking into the cache. Needs root privileges; the error is an [*Error].
func Make(ctx context.Context, path string, cfg Config) error {
	if err := makeRoot(ctx, path, cfg); err != nil {
		return &Error{Op: "build", Suite: cfg.Suite, Err: err}
	}
	return nil
}

func makeRoot(ctx context.Context, path string, cfg Config) error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return fmt.Errorf("mmdebstrap: %w: install mmdebstrap (Debian) or mmdebstrap (Arch, AUR)", ErrMissing)
	}
	uri, err := mirror("/etc/apt")
	if err != nil {
		return err
	}
	proxy := aptProxy(ctx)
	if err := reach(ctx, uri, cfg.Suite, proxy); err != nil {
		return err
	}
	if err := mmdebstrap(ctx, path, uri, proxy, cfg); err != nil {
		return err
	}
	return prepare(path)
}

// mmdebstrap runs in a PID namespace that dies with this process, so that no apt
// or dpkg goes on writing into a tree that the next build sweeps.
func mmdebstrap(ctx context.Context, path, uri, proxy string, cfg Config) error {
	cmd := exec.CommandContext(ctx, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
		"mmdebstrap", "--mode=root", "--variant=minbase",
		"--include="+strings.Join(cfg.packages(), ","),
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=force-unsafe-io",
		// A frozen mirror serves sid with an index that is past its date.
		`--aptopt=Acquire::Check-Valid-Until "false"`,
		cfg.Suite, path, uri)
	cmd.Env = os.Environ()
	if proxy != "" {
		cmd.Env = append(cmd.Env, "http_proxy="+proxy, "https_proxy="+proxy)
	}
	var log bytes.Buffer
	cmd.Stdout = io.MultiWriter(&log, cmp.Or[io.Writer](cfg.Output, io.Discard))
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the signal comes when the thread that forked ends
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("mmdebstrap %s: %w", cfg.Suite, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("mmdebstrap %s: %w, its last lines:\n%s", cfg.Suite, err, tail(log.String(), 10))
	}
	return nil
}

// tail returns the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
