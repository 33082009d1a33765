package archboot

import (
	"context"
	"fmt"
	"strings"

	"github.com/prologin/rig/internal/intree"
)

// workDir is where our own files for pacman are while it runs. It is below the
// tmpfs that a chamber has on /run, so that nothing of it stays in the root.
const workDir = "/run/archboot"

// A pacman runs on a root from outside: the host's, or that of a bootstrap
// tarball.
type pacman struct {
	chamber *chamber
	config  Config
	emit    func(Event)
	tools   string // directory that pacman is in, empty for the host
	gpgDir  string // as pacman sees it
	hookDir string // in the root
	sandbox sandbox

	arrivals *arrivals
}

// hooksOf is the administrator's directory of hooks, or one of ours where the root has
// none yet: pacman 7.1 wants it to be there, and must not take that of the host.
func hooksOf(t *intree.Tree) (string, error) {
	const own = "/etc/pacman.d/hooks"
	if info, err := t.Stat(own); err == nil && info.IsDir() {
		return own, nil
	}
	return workDir + "/hooks", t.MkdirAll(workDir+"/hooks", 0o755)
}

// program is the pacman to run.
func (p *pacman) program() string {
	if p.tools != "" {
		return "/usr/bin/pacman"
	}
	return "pacman"
}

// view is where pacman sees the root.
func (p *pacman) view() string {
	if p.tools != "" {
		return toolsMount
	}
	return p.chamber.root
}

// cache is where pacman sees the package cache.
func (p *pacman) cache() string {
	switch {
	case p.config.CacheDir == "":
		return p.view() + rootCache
	case p.tools != "":
		return toolsCache
	}
	return p.config.CacheDir
}

// prepare writes the configuration and the keys, inside the chamber.
func (p *pacman) prepare() error {
	return p.chamber.do(func() error {
		t, err := openTree(p.chamber.root)
		if err != nil {
			return err
		}
		defer t.Close()
		if err := t.MkdirAll(workDir, 0o700); err != nil {
			return err
		}
		if p.hookDir, err = hooksOf(t); err != nil {
			return err
		}
		p.gpgDir = hostKeyring
		if len(p.config.Keys) > 0 {
			p.gpgDir = p.view() + workDir + "/gnupg"
			ring, err := readKeys(p.config.Keys...)
			if err != nil {
				return err
			}
			if err := ring.write(t, workDir+"/gnupg"); err != nil {
				return err
			}
			if err := t.WriteFile(workDir+"/keys.gpg", ring.packets, 0o600); err != nil {
				return err
			}
		}
		return t.WriteFile(workDir+"/pacman.conf", p.conf(p.gpgDir), 0o600)
	})
}

// conf is the pacman.conf(5) for working on the root from outside: every path in
// it is below the root, and nothing of the host's own configuration is used.
func (p *pacman) conf(gpgDir string) []byte {
	root := p.view()
	var b strings.Builder
	// Slashes at the ends, since pacman takes blanks there for none of the path.
	fmt.Fprintf(&b, "[options]\nRootDir = %s/\nDBPath = %s/var/lib/pacman/\nLogFile = %s/var/log/pacman.log\n", root, root, root)
	fmt.Fprintf(&b, "GPGDir = %s/\nArchitecture = %s\nCheckSpace\nParallelDownloads = 5\nSigLevel = Required DatabaseOptional\nLocalFileSigLevel = Optional\n", gpgDir, p.config.Architecture)
	for _, option := range p.sandbox.options {
		b.WriteString(option + "\n")
	}
	writeRepositories(&b, p.config.Repositories)
	return []byte(b.String())
}

func writeRepositories(b *strings.Builder, list []Repository) {
	for _, r := range list {
		fmt.Fprintf(b, "\n[%s]\n", r.Name)
		writeSigLevel(b, r)
		for _, s := range r.Servers {
			fmt.Fprintf(b, "Server = %s\n", s)
		}
	}
}

func writeSigLevel(b *strings.Builder, r Repository) {
	if r.SigLevel != "" {
		fmt.Fprintf(b, "SigLevel = %s\n", r.SigLevel)
	}
}

// run runs pacman with the given operation, tells of its progress, and finds out
// why it failed.
func (p *pacman) run(ctx context.Context, args ...string) error {
	t := p.transcript()
	return t.cause(p.quietly(ctx, t.line, args...))
}

// transcript follows an operation, and passes on what it tells.
func (p *pacman) transcript() *transcript {
	return &transcript{emit: func(e Event) {
		if e.Kind == EventInstall {
			p.arrivals.begin(e.Text)
		}
		p.emit(e)
	}}
}

// quietly runs pacman and passes on what it prints.
func (p *pacman) quietly(ctx context.Context, line func(string), args ...string) error {
	// In the configuration, blanks would part the two directories into several.
	common := []string{"--config", p.view() + workDir + "/pacman.conf", "--cachedir", p.cache(), "--hookdir", p.view() + p.hookDir,
		"--noconfirm", "--noprogressbar", "--color", "never"}
	return p.chamber.run(ctx, program{
		path:   p.program(),
		chroot: p.tools,
		args:   append(common, args...),
		line: func(s string) {
			p.log(s)
			line(s)
		},
	})
}
