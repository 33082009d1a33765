package debian

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// confine runs mmdebstrap as a child of the first process of its own PID and
// mount namespaces: nothing that it starts or mounts outlives it.
const confine = `mount -t proc proc /proc && "$@"`

// makeTree runs mmdebstrap.
func makeTree(ctx context.Context, cfg Config, chosen []addon) error {
	script, err := writeScript(cfg.Dir)
	if err != nil {
		return err
	}
	layers := filepath.Join(cfg.Dir, "layers")
	if err := os.Mkdir(layers, 0o755); err != nil {
		return err
	}
	var steps []string
	for _, a := range chosen {
		steps = append(steps, strings.Join(a.debs, ","))
	}
	args := []string{"-c", confine, "sh", "mmdebstrap", "--mode=root", "--variant=minbase",
		"--format=directory", "--include=" + strings.Join(included, ","), "--customize-hook=" + script}
	for _, option := range []string{`Acquire::Languages "none"`, `Acquire::Check-Valid-Until "false"`} {
		args = append(args, "--aptopt="+option)
	}
	for _, excluded := range []string{"doc", "man", "info", "locale", "lintian", "bug"} {
		args = append(args, "--dpkgopt=path-exclude=/usr/share/"+excluded+"/*")
	}
	args = append(args, cfg.Suite, filepath.Join(cfg.Dir, "tree"))
	if mirror := cfg.mirror(); mirror != "" {
		args = append(args, mirror)
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TMPDIR="+cfg.Dir,
		"ARCHTEST_LAYERS="+layers, "ARCHTEST_ADDONS="+strings.Join(steps, " "))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC,
		Unshareflags: syscall.CLONE_NEWNS,
		Pdeathsig:    syscall.SIGKILL,
	}
	return run(ctx, cmd, cfg.Log)
}

func (cfg Config) mirror() string {
	if cfg.Mirror != "" {
		return cfg.Mirror
	}
	return hostMirror("/etc/apt")
}

// run runs a command, hands on its lines and puts the last of them into the error.
func run(ctx context.Context, cmd *exec.Cmd, log func(string)) error {
	// The parent-death signal is sent when the thread that forked ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	var tail []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			if log != nil {
				log(lines.Text())
			}
			if tail = append(tail, lines.Text()); len(tail) > 12 {
				tail = tail[1:]
			}
		}
		io.Copy(io.Discard, r)
	}()
	err := cmd.Run()
	w.Close()
	<-done
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("mmdebstrap: %w; its last lines:\n%s", err, strings.Join(tail, "\n"))
	}
	return nil
}
