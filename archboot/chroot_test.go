package archboot_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestInChroot runs another test where "/" is no mount point, as in a build
// environment that was entered by chroot(1).
func TestInChroot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	if target, err := os.Readlink("/bin"); err != nil || strings.TrimPrefix(target, "/") != "usr/bin" {
		t.Skip("this host has a /bin of its own: no chroot can be made of /usr and /etc")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const script = `cd "$1"
mkdir usr etc proc dev sys tmp var
for d in usr etc dev sys; do mount --rbind /$d $d; done
mount -t proc proc proc
for l in bin sbin lib lib64; do [ ! -L /$l ] || ln -s usr/$l $l; done
cp "$2" tmp/archboot.test
exec chroot . /tmp/archboot.test -test.v -test.run '^TestBootstrapSynthetic$'`
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-ec", script, "sh", t.TempDir(), self)
	// The script has made a mount namespace, and in a chroot none can be made private.
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR=/tmp", roleVariable + "=test"}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestBootstrapSynthetic") {
		t.Errorf("%v\n%s", err, out)
	}
}
