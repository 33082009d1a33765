package testroot

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
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

// Build returns the directory of the root that cfg describes, building it first
// if it is not in the cache (some 15 s and 150 MB for the smallest). Do not write to it:
// others boot from it. The error is an [*Error]. Needs root privileges to build.
func Build(ctx context.Context, cfg Config) (string, error) {
	packages := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(base), cfg.Packages...))))
	dir := filepath.Join(CacheDir(), "testroot")
	name := fmt.Sprintf("%s-%s", cfg.Suite, key(cfg.Suite, packages))
	root, err := Once(ctx, dir, name, func(ctx context.Context, path string) error {
		return build(ctx, path, cfg.Suite, packages, cfg.Output)
	})
	if err != nil {
		return "", &Error{Op: "build", Suite: cfg.Suite, Err: err}
	}
	return root, nil
}

func key(suite string, packages []string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", recipe, suite, packages))
	return fmt.Sprintf("%x", sum[:6])
}

func build(ctx context.Context, path, suite string, packages []string, output io.Writer) error {
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
	if err := reach(ctx, uri, suite, proxy); err != nil {
		return err
	}
	if err := mmdebstrap(ctx, path, uri, suite, packages, proxy, output); err != nil {
		return err
	}
	return prepare(path)
}

// mmdebstrap runs in a PID namespace that dies with this process, so that no apt
// or dpkg goes on writing into a tree that the next build sweeps.
func mmdebstrap(ctx context.Context, path, uri, suite string, packages []string, proxy string, output io.Writer) error {
	cmd := exec.CommandContext(ctx, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
		"mmdebstrap", "--mode=root", "--variant=minbase",
		"--include="+strings.Join(packages, ","),
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=force-unsafe-io",
		// A frozen mirror serves sid with an index that is past its date.
		`--aptopt=Acquire::Check-Valid-Until "false"`,
		suite, path, uri)
	cmd.Env = os.Environ()
	if proxy != "" {
		cmd.Env = append(cmd.Env, "http_proxy="+proxy, "https_proxy="+proxy)
	}
	var log bytes.Buffer
	cmd.Stdout = io.MultiWriter(&log, cmp.Or[io.Writer](output, io.Discard))
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the signal comes when the thread that forked ends
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("mmdebstrap %s: %w, its last lines:\n%s", suite, err, tail(log.String(), 10))
	}
	return nil
}

// tail returns the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
