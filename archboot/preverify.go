package archboot

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/ProtonMail/go-crypto/openpgp"
	"golang.org/x/sync/errgroup"
)

// install synchronises the databases, fetches packages, looks at what they bring,
// and installs them.
//
// Where all the packages are in the cache already, we check their signatures
// here, on all processors at once, and tell pacman not to do it again: it starts a
// gpg for every package, which takes as long as installing them. Otherwise pacman
// fetches and checks them. That the files belong to the database pacman checks each
// time. Whatever is doubtful is left to pacman, so that there is one judge who refuses.
func (p *pacman) install(ctx context.Context, packages []string) error {
	t := p.transcript()
	run := func(args ...string) error { return t.cause(p.quietly(ctx, t.line, args...)) }
	if err := run("-Sy"); err != nil {
		return err
	}
	packages = append([]string{"--"}, packages...)
	names, err := p.targets(ctx, packages)
	if err != nil || !p.preverified(ctx, names) {
		if err := run(append([]string{"-Sw"}, packages...)...); err != nil {
			return err
		}
	}
	if found := readContents(ctx, p.packageDir(), names); found != nil {
		if err := found.check(p.config); err != nil {
			return err
		}
	}
	if private(p.packageDir()) {
		if err := p.chamber.do(p.trustPackages); err != nil {
			return err
		}
	}
	return run(append([]string{"-S"}, packages...)...)
}

// packageDir is where the packages are, as we see it.
func (p *pacman) packageDir() string {
	if p.config.CacheDir != "" {
		return p.config.CacheDir
	}
	return filepath.Join(p.chamber.root, rootCache)
}

// preverified says whether every one of the package files is in the cache with a good
// signature by one of the keys of the Config.
func (p *pacman) preverified(ctx context.Context, names []string) bool {
	if len(p.config.Keys) == 0 || p.config.CacheDir == "" || !private(p.config.CacheDir) || len(names) == 0 {
		return false
	}
	ring, err := readKeys(p.config.Keys...)
	if err != nil {
		return false
	}
	checks, ctx := errgroup.WithContext(ctx)
	checks.SetLimit(runtime.GOMAXPROCS(0))
	for _, name := range names {
		checks.Go(func() error { return verifyPackage(ctx, filepath.Join(p.config.CacheDir, name), ring) })
	}
	err = checks.Wait()
	p.config.logger().Debug("signatures of cached packages checked", "packages", len(names), "error", err)
	return err == nil
}

// targets lists the file names of what would be installed.
func (p *pacman) targets(ctx context.Context, packages []string) ([]string, error) {
	var names []string
	err := p.quietly(ctx, func(line string) {
		// A URL, of a file in the cache or on the mirror.
		if strings.Contains(line, "://") && !strings.ContainsAny(line, " \t") {
			names = append(names, path.Base(line))
		}
	}, append([]string{"-S", "--print", "--print-format", "%l"}, packages...)...)
	return names, err
}

func verifyPackage(ctx context.Context, name string, ring *keyring) error {
	signature, err := os.ReadFile(name + ".sig")
	if err != nil {
		return err
	}
	if !private(name) {
		return fmt.Errorf("%s may be written to by others", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, _, err = openpgp.VerifyDetachedSignature(ring.entities, readerWithContext{ctx, f}, strings.NewReader(string(signature)), nil)
	return err
}

// private says that nobody but us can change a file, or exchange those in a directory,
// between our look at it and pacman's.
func private(name string) bool {
	info, err := os.Lstat(name)
	if err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return false
	}
	return info.Sys().(*syscall.Stat_t).Uid == uint32(os.Geteuid()) && info.Mode().Perm()&0o022 == 0
}

// nowhere is a server that has nothing.
const nowhere = "file://" + workDir + "/nowhere"

// trustPackages rewrites the configuration for packages that have been verified: one
// that has left the cache since is not fetched, since nobody would verify that.
// Databases stay as they are.
func (p *pacman) trustPackages() error {
	t, err := openTree(p.chamber.root)
	if err != nil {
		return err
	}
	defer t.Close()
	verified := *p
	verified.config.Repositories = nil
	for _, r := range p.config.Repositories {
		r.SigLevel = strings.TrimSpace(r.SigLevel + " PackageNever")
		r.Servers = []string{nowhere}
		verified.config.Repositories = append(verified.config.Repositories, r)
	}
	return t.WriteFile(workDir+"/pacman.conf", verified.conf(p.gpgDir), 0o600)
}
