package nspawn

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/prologin/rig/internal/intree"
)

// TestOwnersBeyond has a machine's own files name users that it cannot have. The number
// of the one, added to that of the machine's root, is 0, and that of the other nobody.
func TestOwnersBeyond(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	const passwd = "wraps:x:4294311936:0::/:/bin/sh\nnobody-in-particular:x:4294967295:0::/:/bin/sh\nfar:x:70000:0::/:/bin/sh\n"
	err := errors.Join(os.Mkdir(filepath.Join(root, "etc"), 0o755),
		os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(passwd), 0o644),
		os.WriteFile(filepath.Join(root, "etc/group"), []byte("wraps:x:4294311936:\n"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := intree.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	mapped, plain := owners{base: 655360}, owners{}
	for owner, o := range map[string]owners{
		"wraps": mapped, "far": mapped, "1:wraps": mapped, "65536": mapped, "4294967295": plain, "nobody-in-particular": plain,
	} {
		if uid, gid, err := o.find(tree, owner); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %d:%d, %v", owner, uid, gid, err)
		}
	}
	if uid, gid, err := mapped.find(tree, "65535"); uid != 655360+65535 || gid != uid || err != nil {
		t.Errorf("the last one: %d:%d, %v", uid, gid, err)
	}
	if uid, gid := mapped.add(4294311936, 5); uid != 655360+65534 || gid != 655360+5 {
		t.Errorf("a file of a user of the host's: %d:%d", uid, gid)
	}
	if uid, _, err := plain.find(tree, "far"); uid != 70000 || err != nil {
		t.Errorf("without a user namespace: %d, %v", uid, err)
	}
}
