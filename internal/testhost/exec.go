package testhost

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/prologin/rig/internal/testroot"
)

// Exec runs a test binary, or another program of this machine, in the host as
// `go test -exec` expects it: with our standard streams, working directory and
// the part of our environment that a test may depend on. It sees the
// program's directory (go test keeps its coverage files there), the module, the
// cache and, if set, GOCOVERDIR, at their paths. The error is that of
// [Host.Run].
func (h *Host) Exec(ctx context.Context, args []string, signals <-chan os.Signal) error {
	program, err := filepath.Abs(args[0])
	if err != nil {
		return h.wrap("enter", err)
	}
	wd, err := workingDir()
	if err != nil {
		return h.wrap("enter", err)
	}
	if err := h.Show(h.cfg.Module, wd, testroot.CacheDir(), filepath.Dir(program), os.Getenv("GOCOVERDIR")); err != nil {
		return err
	}
	cmd := exec.Command(program, args[1:]...)
	h.streams(cmd, wd)
	return h.Run(ctx, cmd, signals)
}

// Shell runs a login shell in the host, or the given command of the host.
func (h *Host) Shell(ctx context.Context, args []string, signals <-chan os.Signal) error {
	wd, err := workingDir()
	if err != nil {
		return h.wrap("enter", err)
	}
	if err := h.Show(h.cfg.Module, wd, testroot.CacheDir()); err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"/bin/bash", "-l"}
	}
	// env looks the name up in the host's PATH, not in ours.
	cmd := exec.Command("/usr/bin/env", args...)
	h.streams(cmd, wd)
	return h.Run(ctx, cmd, signals)
}

func (h *Host) streams(cmd *exec.Cmd, wd string) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Dir = wd
	cmd.Env = append(environ(os.Environ(), h.cfg.Suite), "PWD="+wd)
}
