package archboot

import (
	"context"
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
	names := p.targets(ctx, packages)
	trusted := p.preverified(ctx, names)
	if !trusted {
		if err := run(append([]string{"-Sw"}, packages...)...); err != nil {
			return err
		}
		trusted = privatePackages(p.packageDir(), names)
	}
	if found := readContents(ctx, p.packageDir(), names); found != nil {
		if err := found.check(p.config); err != nil {
			return err
		}
	}
	if trusted {
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
	if len(p.config.Keys) == 0 || p.config.CacheDir == "" || !privatePackages(p.config.CacheDir, names) {
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

// targets lists the file names of what would be installed; none where pacman cannot
// say, of which it will tell when it is to fetch them.
func (p *pacman) targets(ctx context.Context, packages []string) []string {
	var names []string
	err := p.quietly(ctx, func(line string) {
		// A URL, of a file in the cache or on the mirror.
		if strings.Contains(line, "://") && !strings.ContainsAny(line, " \t") {
			names = append(names, path.Base(line))
		}
	}, append([]string{"-S", "--print", "--print-format", "%l"}, packages...)...)
	if err != nil {
		return nil
	}
	return names
}

func verifyPackage(ctx context.Context, name string, ring *keyring) error {
	signature, err := os.ReadFile(name + ".sig")
	if err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, _, err = openpgp.VerifyDetachedSignature(ring.entities, readerWithContext{ctx, f}, strings.NewReader(string(signature)), nil)
	return err
}

// privatePackages says that nobody but us and root can change the files in a directory
// between our look at them and pacman's, or exchange any of them.
func privatePackages(dir string, names []string) bool {
	if len(names) == 0 || !privateDir(dir) {
		return false
	}
	for _, name := range names {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() || !private(info) {
			return false
		}
	}
	return true
}

// privateDir says that nobody else can exchange the directory at an absolute path, or
// what is in it. Those above it may be for all, as /tmp is, where nobody can rename
// what others have made.
func privateDir(dir string) bool {
	for own := true; ; own = false {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || !owned(info) || !private(info) && (own || info.Mode()&fs.ModeSticky == 0) {
			return false
		}
		if dir == "/" {
			return true
		}
		dir = filepath.Dir(dir)
	}
}

// private says that only we and root may write to a file or directory.
func private(info fs.FileInfo) bool { return owned(info) && info.Mode().Perm()&0o022 == 0 }

func owned(info fs.FileInfo) bool {
	uid := info.Sys().(*syscall.Stat_t).Uid
	return uid == 0 || uid == uint32(os.Geteuid())
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
