package archboot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/prologin/rig/internal/intree"
)

// machineKeyring is where the machine's pacman keeps its keys.
const machineKeyring = "/etc/pacman.d/gnupg"

// keyringDir is where packages put keys for pacman-key --populate.
const keyringDir = "/usr/share/pacman/keyrings"

// initKeys gives the machine's own pacman a keyring: a secret key that signs what
// is trusted, the keys that the keyring packages brought, and those of the
// Config. The agent that this leaves behind dies with the chamber.
func (p *pacman) initKeys(ctx context.Context, t *intree.Tree) error {
	const tool = "/usr/bin/pacman-key"
	if _, err := t.Stat(tool); err != nil {
		return nil // no pacman in this root
	}
	if err := p.makeSigningKey(ctx, t); err != nil {
		return err
	}
	key := func(args ...string) error {
		return p.chamber.run(ctx, program{path: tool, args: args, chroot: p.chamber.root, line: p.log})
	}
	if err := key("--init"); err != nil {
		return err
	}
	if _, err := t.Stat(keyringDir); err == nil {
		if err := key("--populate"); err != nil {
			return err
		}
	}
	foreign, err := p.foreignKeys(t)
	if err != nil {
		return err
	}
	if len(foreign) > 0 {
		if err := key("--add", workDir+"/keys.gpg"); err != nil {
			return err
		}
		if err := key(append([]string{"--lsign-key"}, foreign...)...); err != nil {
			return err
		}
	}
	return removeSockets(t)
}

// foreignKeys are the fingerprints of the Config's keys that no keyring package brought:
// those have been populated, with what their distribution says of their trust.
func (p *pacman) foreignKeys(t *intree.Tree) ([]string, error) {
	ring, err := readKeys(p.config.Keys...)
	if err != nil {
		return nil, err
	}
	brought := make(map[string]bool)
	dir, _, err := t.Parent(keyringDir + "/x")
	if errors.Is(err, fs.ErrNotExist) {
		return ring.fingerprints, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := os.ReadDir(procPath(dir))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		data, err := t.ReadFile(keyringDir + "/" + e.Name())
		if err != nil || !strings.HasSuffix(e.Name(), ".gpg") {
			continue
		}
		if keys, err := readKeys(data); err == nil { // else pacman-key could not read it either
			for _, f := range keys.fingerprints {
				brought[f] = true
			}
		}
	}
	return slices.DeleteFunc(ring.fingerprints, func(f string) bool { return brought[f] }), nil
}

// makeSigningKey makes the secret key that pacman-key --init would make, of a kind
// that takes no time: that one makes RSA keys of 4096 bits and needs seconds. The
// empty files make GnuPG use the format that libalpm looks for.
func (p *pacman) makeSigningKey(ctx context.Context, t *intree.Tree) error {
	if err := t.MkdirAll(machineKeyring, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"pubring.gpg", "secring.gpg"} {
		if err := t.WriteFile(machineKeyring+"/"+name, nil, 0o600); err != nil {
			return err
		}
	}
	return p.chamber.run(ctx, program{
		path: "/usr/bin/gpg", chroot: p.chamber.root, line: p.log,
		args: []string{"--homedir", machineKeyring, "--no-permission-warning", "--batch", "--passphrase", "",
			"--quick-gen-key", "Pacman Keyring Master Key <pacman@localhost>", "ed25519", "cert,sign", "never"},
	})
}

// log records what a program prints.
func (p *pacman) log(line string) {
	p.config.logger().Debug("program", "root", p.chamber.root, "line", line)
}

// removeSockets drops what the agents listened on.
func removeSockets(t *intree.Tree) error {
	var errs []error
	for _, name := range []string{"S.gpg-agent", "S.gpg-agent.browser", "S.gpg-agent.extra", "S.gpg-agent.ssh", "S.scdaemon", "S.keyboxd", "S.dirmngr"} {
		errs = append(errs, ignoreMissing(t.Remove(machineKeyring+"/"+name)))
	}
	return errors.Join(errs...)
}
