package archboot

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/prologin/rig/internal/intree"
)

// workDir is where our own files for pacman are while it runs. It is below the
// tmpfs that a chamber has on /run, so that nothing of it stays in the root.
const workDir = "/run/archboot"

// A pacman runs the host's pacman on a root from outside.
type pacman struct {
	chamber *chamber
	config  Config
	emit    func(Event)
}

// prepare writes the configuration and the keys, inside the chamber.
func (p *pacman) prepare() error {
	return p.chamber.do(func() error {
		t, err := intree.Open(p.chamber.root)
		if err != nil {
			return err
		}
		defer t.Close()
		if err := t.MkdirAll(workDir, 0o700); err != nil {
			return err
		}
		gpgDir := hostKeyring
		if len(p.config.Keys) > 0 {
			gpgDir = p.chamber.root + workDir + "/gnupg"
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
		return t.WriteFile(workDir+"/pacman.conf", p.hostConf(gpgDir), 0o600)
	})
}

// hostConf is the pacman.conf(5) for the host's pacman: every path in it is
// below the root, and nothing of the host's own configuration is used.
func (p *pacman) hostConf(gpgDir string) []byte {
	root := p.chamber.root
	cache := p.config.CacheDir
	if cache == "" {
		cache = root + "/var/cache/pacman/pkg"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[options]\nRootDir = %s\nDBPath = %s/var/lib/pacman/\nLogFile = %s/var/log/pacman.log\n", root, root, root)
	fmt.Fprintf(&b, "CacheDir = %s/\nHookDir = %s/etc/pacman.d/hooks/\nGPGDir = %s/\n", cache, root, gpgDir)
	fmt.Fprintf(&b, "Architecture = %s\nCheckSpace\nParallelDownloads = 5\nSigLevel = Required\nLocalFileSigLevel = Optional\n", p.config.Architecture)
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

// run runs pacman with the given operation.
func (p *pacman) run(ctx context.Context, args ...string) error {
	t := &transcript{emit: p.emit}
	log := p.config.logger()
	err := p.chamber.run(ctx, program{
		path: "pacman",
		args: append([]string{"--config", p.chamber.root + workDir + "/pacman.conf", "--noconfirm", "--noprogressbar", "--color", "never"}, args...),
		line: func(s string) {
			log.Debug("pacman", "root", p.chamber.root, "line", s)
			t.line(s)
		},
	})
	return t.cause(err)
}

// initKeys gives the machine's own pacman a keyring: a secret key that signs what
// is trusted, the keys that the keyring packages brought, and those of the
// Config. The agent that this leaves behind dies with the chamber.
func (p *pacman) initKeys(ctx context.Context, t *intree.Tree) error {
	const tool = "/usr/bin/pacman-key"
	if _, err := t.Stat(tool); err != nil {
		return nil // no pacman in this root
	}
	key := func(args ...string) error {
		return p.chamber.run(ctx, program{path: tool, args: args, chroot: p.chamber.root})
	}
	if err := key("--init"); err != nil {
		return err
	}
	if _, err := t.Stat("/usr/share/pacman/keyrings"); err == nil {
		if err := key("--populate"); err != nil {
			return err
		}
	}
	if len(p.config.Keys) > 0 {
		ring, err := readKeys(p.config.Keys...)
		if err != nil {
			return err
		}
		if err := key("--add", workDir+"/keys.gpg"); err != nil {
			return err
		}
		if err := key(append([]string{"--lsign-key"}, ring.fingerprints...)...); err != nil {
			return err
		}
	}
	return removeSockets(t)
}

// removeSockets drops what the agents listened on.
func removeSockets(t *intree.Tree) error {
	var errs []error
	for _, name := range []string{"S.gpg-agent", "S.gpg-agent.browser", "S.gpg-agent.extra", "S.gpg-agent.ssh", "S.scdaemon", "S.keyboxd", "S.dirmngr"} {
		errs = append(errs, ignoreMissing(t.Remove("/etc/pacman.d/gnupg/"+name)))
	}
	return errors.Join(errs...)
}
