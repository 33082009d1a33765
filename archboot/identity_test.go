package archboot

import (
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestIdentify(t *testing.T) {
	t.Parallel()
	tree := treeWith(t, map[string]string{
		"etc/hostname":                     "base\n",
		"etc/machine-id":                   "11111111111111111111111111111111\n",
		"var/lib/dbus/machine-id":          "11111111111111111111111111111111\n",
		"etc/ssh/ssh_host_ed25519_key":     "secret",
		"etc/ssh/ssh_host_ed25519_key.pub": "public",
		"etc/ssh/sshd_config":              "stays",
		"var/lib/systemd/random-seed":      "old seed",
		"etc/shadow":                       "root:!:1::::::\n",
	})
	id := Identity{Hostname: "web", MachineID: DeriveMachineID("lab", "web"), Password: strings.NewReader("x")}
	for range 2 { // repeating it changes nothing but what is random
		if err := Identify(t.Context(), tree.Dir(), id); err != nil {
			t.Fatal(err)
		}
		id.Password = nil
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(tree.Dir(), name))
		if err != nil {
			return err.Error()
		}
		return string(data)
	}
	if got := read("etc/hostname"); got != "web\n" {
		t.Errorf("hostname %q", got)
	}
	if got := read("etc/machine-id"); got != string(DeriveMachineID("lab", "web"))+"\n" {
		t.Errorf("machine-id %q", got)
	}
	if got := read("var/lib/systemd/random-seed"); len(got) != 512 {
		t.Errorf("random seed %q", got)
	}
	if got := read("etc/ssh/sshd_config"); got != "stays" {
		t.Errorf("sshd_config %q", got)
	}
	if got := read("etc/shadow"); !strings.HasPrefix(got, "root:$6$") {
		t.Errorf("shadow %q", got)
	}
	for _, gone := range []string{"etc/ssh/ssh_host_ed25519_key", "etc/ssh/ssh_host_ed25519_key.pub", "var/lib/dbus/machine-id"} {
		if _, err := os.Lstat(filepath.Join(tree.Dir(), gone)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", gone, err)
		}
	}
	if err := Identify(t.Context(), t.TempDir(), Identity{}); !errors.Is(err, ErrBadRoot) {
		t.Errorf("a directory that is no root: %v", err)
	}
	if err := Identify(t.Context(), tree.Dir(), Identity{Hostname: "a b"}); !errors.Is(err, ErrInvalid) {
		t.Errorf("bad host name: %v", err)
	}
}

func TestDeriveMachineID(t *testing.T) {
	t.Parallel()
	seen := map[MachineID]string{}
	for _, n := range [][2]string{{"lab", "gw"}, {"lab", "web"}, {"labg", "w"}, {"la", "bgw"}, {"", "labgw"}} {
		id := DeriveMachineID(n[0], n[1])
		if !idPattern.MatchString(string(id)) {
			t.Errorf("%q: %q is no machine id", n, id)
		}
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q share %s", n, other, id)
		}
		seen[id] = n[0] + "/" + n[1]
	}
	if a, b := DeriveMachineID("lab", "gw"), DeriveMachineID("lab", "gw"); a != b {
		t.Errorf("not the same twice: %s, %s", a, b)
	}
}

func TestDerivedHostKey(t *testing.T) {
	t.Parallel()
	tree := treeWith(t, map[string]string{"etc/ssh/ssh_host_rsa_key": "old"})
	secret := []byte("a secret of the lab, 32 bytes....")
	key := DeriveHostKey(secret, "lab", "web")
	if !key.Equal(DeriveHostKey(secret, "lab", "web")) {
		t.Error("the key is not the same again")
	}
	for _, other := range []ed25519.PrivateKey{DeriveHostKey(secret, "lab", "gw"), DeriveHostKey(secret, "la", "bweb"), DeriveHostKey([]byte("another"), "lab", "web")} {
		if key.Equal(other) {
			t.Error("another machine has the same key")
		}
	}
	if err := Identify(t.Context(), tree.Dir(), Identity{HostKey: key}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(tree.Dir(), "etc/ssh/ssh_host_ed25519_key")
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(tree.Dir(), "etc/ssh/ssh_host_rsa_key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old key: %v", err)
	}
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is missing: the files are not read by OpenSSH")
	}
	// It refuses a private key that others may read.
	out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-y", "-f", file).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != strings.TrimSpace(string(public)) {
		t.Errorf("ssh-keygen reads %q, %v; the public half is %q", out, err, public)
	}
	for _, id := range []Identity{{HostKey: key[:3]}, {HostKey: key, KeepHostKeys: true}} {
		if err := Identify(t.Context(), tree.Dir(), id); !errors.Is(err, ErrInvalid) {
			t.Errorf("got %v", err)
		}
	}
}
