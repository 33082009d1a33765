package archtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/prologin/rig/archboot/archtest/internal/debian"
	"github.com/prologin/rig/archboot/archtest/internal/pgp"
)

// Where a built mirror keeps its parts, relative to its directory.
const (
	secretFile = "secret.asc"
	publicFile = "key.asc"
	wwwDir     = "www"
)

// DebianPackages are the Debian packages that building a mirror of a Debian suite
// needs on the host, besides what every Debian has.
func DebianPackages() []string {
	return []string{"mmdebstrap", "debian-archive-keyring"}
}

// preflight finds out whether a mirror can be built here.
func preflight() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("building a mirror of a Debian suite: %w: run as root", ErrPrivilege)
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return fmt.Errorf("%w mmdebstrap: install Debian's packages mmdebstrap and debian-archive-keyring, or Arch's debian-archive-keyring and the AUR's mmdebstrap", ErrMissingProgram)
	}
	return nil
}

// build makes the mirror in dir/mirror.
func build(ctx context.Context, o Options, dir string, p *progress) error {
	// Made yesterday, the key is valid on hosts whose clock is behind.
	key, err := pgp.New(keyName, time.Now().Add(-24*time.Hour), 0)
	if err != nil {
		return err
	}
	out := filepath.Join(dir, "mirror")
	if err := writeKey(out, key); err != nil {
		return err
	}
	public, err := key.PublicBinary()
	if err != nil {
		return err
	}
	repos, err := debian.Build(ctx, debian.Config{
		Suite: string(o.Suite), AddOns: o.AddOns, Mirror: o.DebianMirror, Dir: dir, Log: p.debianLine,
		Key: debian.Key{Public: public, Fingerprint: key.Fingerprint()},
	})
	if err != nil {
		return err
	}
	p.report(Event{Phase: "packages", Message: "making packages of the Debian tree"})
	w := &repoWriter{key: key, now: time.Now(), report: p.report, total: len(repos.Core) + len(repos.Extra)}
	www := filepath.Join(out, wwwDir)
	entries, err := w.write(ctx, www, "core", repos.Core)
	if err != nil {
		return err
	}
	if _, err := w.write(ctx, www, "extra", repos.Extra); err != nil {
		return err
	}
	p.report(Event{Phase: "packages", Message: "writing " + bootstrapFile})
	return w.writeBootstrap(www, entries)
}

func writeKey(dir string, key *pgp.Key) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	secret, err := key.Private()
	if err != nil {
		return err
	}
	public, err := key.Public()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, secretFile), secret, 0o600),
		os.WriteFile(filepath.Join(dir, publicFile), public, 0o644))
}
