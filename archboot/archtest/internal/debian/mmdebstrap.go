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
	"time"
)

// confine runs mmdebstrap as a child of the first process of its own PID and
// mount namespaces: nothing that it starts or mounts outlives it. dpkg syncs each
// file to a disk that need not have it, since an interrupted tree is thrown away; on
// a volatile overlay (Linux 5.10) that takes no time, and the files end up in the
// directory below. Where there is no such thing, it goes without.
const confine = `
mount -t proc proc /proc || exit
mount -t overlay overlay \
	-o "lowerdir=$1/lower,upperdir=$1/tree,workdir=$1/work,volatile" "$1/tree" 2>/dev/null || true
shift
"$@"
`

// makeTree runs mmdebstrap.
func makeTree(ctx context.Context, cfg Config, chosen []addon) error {
	script, err := writeScript(cfg.Dir)
	if err != nil {
		return err
	}
	for _, name := range []string{"layers", "lower", "tree", "work"} {
		if err := os.Mkdir(filepath.Join(cfg.Dir, name), 0o755); err != nil {
			return err
		}
	}
	var steps []string
	for _, a := range chosen {
		steps = append(steps, strings.Join(a.debs, ","))
	}
	args := []string{"-c", confine, "sh", cfg.Dir, "mmdebstrap", "--mode=root", "--variant=minbase",
		"--format=directory", "--include=" + strings.Join(included, ","), "--customize-hook=" + script}
	for _, option := range []string{`Acquire::Languages "none"`, `Acquire::Check-Valid-Until "false"`} {
		args = append(args, "--aptopt="+option)
	}
	args = append(args, "--dpkgopt=force-unsafe-io")
	for _, excluded := range []string{"doc", "man", "info", "locale", "lintian", "bug"} {
		args = append(args, "--dpkgopt=path-exclude=/usr/share/"+excluded+"/*")
	}
	// It is in no package; see the recipe of postgresql.
	args = append(args, "--dpkgopt=path-exclude=/usr/lib/*/libLLVM*", "--dpkgopt=path-exclude=/usr/lib/llvm-*")
	args = append(args, cfg.Suite, filepath.Join(cfg.Dir, "tree"))
	if mirror := cfg.mirror(); mirror != "" {
		args = append(args, mirror)
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", args...)
	cmd.Env = append(proxies(ctx), "LC_ALL=C.UTF-8", "TMPDIR="+cfg.Dir,
		"ARCHTEST_LAYERS="+filepath.Join(cfg.Dir, "layers"), "ARCHTEST_ADDONS="+strings.Join(steps, " "))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC,
		Unshareflags: syscall.CLONE_NEWNS,
		Pdeathsig:    syscall.SIGKILL,
	}
	cmd.WaitDelay = 10 * time.Second
	return run(ctx, cmd, cfg.Log)
}

// proxies is the environment, with the proxies of the host's apt configuration
// where it names none: mmdebstrap does not read that.
func proxies(ctx context.Context) []string {
	env := os.Environ()
	for _, scheme := range []string{"http", "https"} {
		if os.Getenv(scheme+"_proxy") != "" {
			continue
		}
		key := "Acquire::" + scheme + "::Proxy"
		out, err := exec.CommandContext(ctx, "apt-config", "dump", "--format=%v%n", key).Output()
		if proxy := strings.TrimSpace(string(out)); err == nil && proxy != "" && proxy != "DIRECT" {
			env = append(env, scheme+"_proxy="+proxy)
		}
	}
	return env
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
