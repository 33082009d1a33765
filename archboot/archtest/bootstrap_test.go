package archtest_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/prologin/rig/archboot/archtest"
)

// TestBootstrapTarball makes a root the way of a host without pacman, and lets the
// pacman in it go on.
func TestBootstrapTarball(t *testing.T) {
	t.Parallel()
	need(t, "tar", "zstd", "chroot")
	m := debianMirror(t, archtest.Options{})
	dir := t.TempDir()
	tarball := download(t, m)
	file := filepath.Join(dir, "bootstrap.tar.zst")
	if err := os.WriteFile(file, tarball, 0o644); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "tar", "--zstd", "--numeric-owner", "-xpf", file, "-C", dir)
	root := filepath.Join(dir, "root.x86_64")
	list := "Server = " + m.Server() + "\n"
	if err := os.WriteFile(filepath.Join(root, "etc/pacman.d/mirrorlist"), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	inside := func(script string) string {
		t.Helper()
		// pacman's CheckSpace wants the root to be a mount point.
		return mustRun(t, "sh", "-euc", `mount --bind "$1" "$1"; mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"
			exec chroot "$1" env -i PATH=/usr/bin HOME=/root bash -euc "$2"`, "sh", root, script)
	}
	inside("pacman-key --init && pacman-key --populate archlinux && pacman -Sy --noprogressbar")
	if out := inside("pacman -Qkk || true"); len(altered(out)) != 0 {
		t.Errorf("the tree differs from its packages: %q", altered(out))
	}
	if out := inside("pacman -Qe"); !strings.HasPrefix(out, "base ") || strings.Count(out, "\n") != 1 {
		t.Errorf("explicitly installed: %q, want only base", out)
	}
	inside("pacman -Su --noconfirm --noprogressbar openssh nginx")
	if out := inside("pacman -Q openssh nginx && nginx -t 2>&1"); !strings.Contains(out, "syntax is ok") {
		t.Errorf("after the upgrade: %q", out)
	}
}

// download gets the tarball and checks its signature and digest.
func download(t *testing.T, m *archtest.Mirror) []byte {
	t.Helper()
	fetch := func(url string) string {
		status, body := get(t, url)
		if status != 200 {
			t.Fatalf("%s: status %d", url, status)
		}
		return body
	}
	url := m.BootstrapURL()
	tarball, sig := fetch(url), fetch(url+".sig")
	keys, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(m.PublicKey()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openpgp.CheckDetachedSignature(keys, strings.NewReader(tarball), strings.NewReader(sig), nil); err != nil {
		t.Errorf("signature: %v", err)
	}
	sums := fetch(m.URL + "/iso/2026.11.01/sha256sums.txt")
	if want := fmt.Sprintf("%x  archlinux-bootstrap-x86_64.tar.zst\n", sha256.Sum256([]byte(tarball))); !strings.Contains(sums, want) {
		t.Errorf("sha256sums.txt has %q, want %q in it", sums, want)
	}
	if dated := fetch(m.URL + "/iso/2026.11.01/archlinux-bootstrap-2026.11.01-x86_64.tar.zst.sig"); dated != sig {
		t.Error("the dated name has another signature")
	}
	return []byte(tarball)
}
