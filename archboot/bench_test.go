package archboot_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
)

// compare runs ours and theirs in turn, and prints the medians:
//
//	ratio NAME OURS THEIRS THEIRS/OURS
func compare(b *testing.B, name string, ours, theirs func(dir string)) {
	b.Helper()
	var a, c []time.Duration
	timed := func(list *[]time.Duration, f func(string)) {
		dir, err := os.MkdirTemp("", "archboot-bench-")
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		f(dir)
		*list = append(*list, time.Since(start))
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		timed(&a, ours)
		timed(&c, theirs)
	}
	slices.Sort(a)
	slices.Sort(c)
	x, y := a[len(a)/2], c[len(c)/2]
	fmt.Printf("ratio %s %v %v %.2f\n", name, x.Round(10*time.Microsecond), y.Round(10*time.Microsecond), y.Seconds()/x.Seconds())
	b.ReportMetric(y.Seconds()/x.Seconds(), "theirs/ours")
}

// byHand is what a person types: pacstrap with the same repositories and keys, and
// the document's settings through chroot.
type byHand struct {
	b          *testing.B
	conf       string
	hostCached bool
}

func newByHand(b *testing.B, m *archtest.Mirror) *byHand {
	b.Helper()
	for _, name := range []string{"pacstrap", "pacman-key", "chroot"} {
		if _, err := exec.LookPath(name); err != nil {
			b.Skipf("%s is missing: nothing to compare with", name)
		}
	}
	dir := b.TempDir()
	gpg := filepath.Join(dir, "gnupg")
	conf := filepath.Join(dir, "pacman.conf")
	text := fmt.Sprintf("[options]\nArchitecture = x86_64\nParallelDownloads = 5\nGPGDir = %s\nCacheDir = %s\nSigLevel = Required\n\n%s", gpg, filepath.Join(dir, "cache"), m.PacmanConf())
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	h := &byHand{b: b, conf: conf}
	for _, args := range [][]string{{"--init"}, {"--add", m.PublicKeyFile()}, {"--lsign-key", m.Fingerprint()}} {
		h.run("pacman-key", append([]string{"--config", conf, "--gpgdir", gpg}, args...)...)
	}
	b.Cleanup(func() { h.run("gpgconf", "--homedir", gpg, "--kill", "all") })
	return h
}

func (h *byHand) run(name string, args ...string) {
	h.b.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	if out, err := cmd.CombinedOutput(); err != nil {
		h.b.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

func (h *byHand) bootstrap(root string) {
	args := []string{"-C", h.conf, "-M"}
	if h.hostCached {
		args = append(args, "-c")
	}
	h.run("pacstrap", append(append(args, root), "base", "openssh")...)
	h.run("chroot", root, "sh", "-ec", `
ln -sf ../usr/share/zoneinfo/Europe/Paris /etc/localtime
echo gw >/etc/hostname
echo 'en_US.UTF-8 UTF-8' >/etc/locale.gen
locale-gen >/dev/null
echo LANG=en_US.UTF-8 >/etc/locale.conf
systemctl enable sshd systemd-networkd systemd-timesyncd 2>/dev/null
`)
}

func BenchmarkBootstrap(b *testing.B) {
	needRoot(b)
	m := debianMirror(b, archtest.Trixie)
	hand := newByHand(b, m)
	compare(b, "bootstrap", func(dir string) {
		if err := archboot.Bootstrap(b.Context(), dir, bootstrapConfig(m)); err != nil {
			b.Fatal(err)
		}
	}, hand.bootstrap)
}

// BenchmarkBootstrapWarm compares with pacstrap -c: both have all packages.
func BenchmarkBootstrapWarm(b *testing.B) {
	needRoot(b)
	m := debianMirror(b, archtest.Trixie)
	hand := newByHand(b, m)
	hand.hostCached = true
	c := bootstrapConfig(m)
	c.CacheDir = b.TempDir()
	for _, fill := range []func(string){hand.bootstrap, func(dir string) {
		if err := archboot.Bootstrap(b.Context(), dir, c); err != nil {
			b.Fatal(err)
		}
	}} {
		fill(b.TempDir())
	}
	compare(b, "bootstrap-warm", func(dir string) {
		if err := archboot.Bootstrap(b.Context(), dir, c); err != nil {
			b.Fatal(err)
		}
	}, hand.bootstrap)
}

func BenchmarkTarball(b *testing.B) {
	needRoot(b)
	if _, err := exec.LookPath("zstd"); err != nil {
		b.Skip("zstd is missing: tar cannot unpack the tarball")
	}
	m := debianMirror(b, archtest.Trixie)
	name := filepath.Join(b.TempDir(), "bootstrap.tar.zst")
	download(b, m.BootstrapURL(), name)
	compare(b, "tarball", func(dir string) {
		if err := archboot.Unpack(b.Context(), name, dir); err != nil {
			b.Fatal(err)
		}
	}, func(dir string) {
		if out, err := exec.Command("tar", "--zstd", "-x", "-f", name, "-C", dir, "--numeric-owner", "--xattrs").CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	})
}

// BenchmarkClone makes a machine's root of a base, as a snapshot and as a copy, and
// compares with copying the base by hand.
func BenchmarkClone(b *testing.B) {
	needRoot(b)
	pool := btrfsPool(b)
	m := debianMirror(b, archtest.Trixie)
	hand := &byHand{b: b}
	base := filepath.Join(pool, "base")
	hand.run("btrfs", "subvolume", "create", base)
	c := bootstrapConfig(m)
	c.Hostname = ""
	if err := archboot.Bootstrap(b.Context(), base, c); err != nil {
		b.Fatal(err)
	}
	n := 0
	fresh := func(name string) string {
		n++
		return filepath.Join(pool, fmt.Sprint(name, n))
	}
	id := archboot.Identity{Hostname: "web", MachineID: archboot.DeriveMachineID("lab", "web")}
	var own []time.Duration
	compare(b, "clone", func(string) {
		root := fresh("ours")
		if err := os.Mkdir(root, 0o755); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if err := archboot.Clone(b.Context(), base, root, id); err != nil {
			b.Fatal(err)
		}
		own = append(own, time.Since(start))
	}, func(string) {
		hand.run("cp", "-a", "--reflink=auto", base, fresh("theirs"))
	})
	slices.Sort(own)
	fmt.Printf("figure clone-time %v (median of %d), snapshot and identity\n", own[len(own)/2].Round(10*time.Microsecond), len(own))
}
