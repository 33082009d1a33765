package archboot

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/prologin/rig/internal/intree"
)

// An Identity is what a clone of a root must not share with the others.
type Identity struct {
	// Hostname replaces the one of the original. Empty removes it: the kernel
	// command line or nspawn decides.
	Hostname string
	// MachineID is the policy for /etc/machine-id, see [DeriveMachineID].
	MachineID MachineID
	// Password yields root's new password, as in Config. Nil keeps the old one.
	Password io.Reader
	// HostKey becomes the SSH host key, see [DeriveHostKey]. Keys of other kinds are
	// made when the machine boots.
	HostKey ed25519.PrivateKey
	// KeepHostKeys keeps the SSH host keys of the original, if it has any.
	// Otherwise they are removed, and sshd's units make new ones when the
	// machine boots.
	KeepHostKeys bool
}

// Validate reports every fault of the Identity at once, as [ErrInvalid].
func (id Identity) Validate() error {
	var v faults
	v.hostname(id.Hostname)
	v.machineID(id.MachineID)
	v.must(id.HostKey == nil || len(id.HostKey) == ed25519.PrivateKeySize, "HostKey of %d bytes", len(id.HostKey))
	v.must(id.HostKey == nil || !id.KeepHostKeys, "both HostKey and KeepHostKeys are set")
	return v.err()
}

// Identify makes a clone of a root a machine of its own: host name, machine id,
// SSH host keys, the seed of the random number generator, and, where asked,
// root's password. The root must not be running. It needs root privileges, starts
// no program and takes a few milliseconds.
//
// It is safe to repeat. A root whose bootstrap was interrupted is [ErrIncomplete], a
// directory that is no root [ErrBadRoot], a faulty Identity [ErrInvalid]. All errors are
// *[Error].
func Identify(ctx context.Context, root string, id Identity) error {
	return wrap("identify", root, identify(ctx, root, id))
}

func identify(ctx context.Context, root string, id Identity) error {
	hash, err := id.prepare(ctx)
	if err != nil {
		return err
	}
	path, err := resolveRoot(root)
	if err != nil {
		return err
	}
	t, err := openFinished(path)
	if err != nil {
		return err
	}
	defer t.Close()
	return id.apply(t, hash)
}

// prepare checks the Identity and reads the password, before anything is touched.
func (id Identity) prepare(ctx context.Context) (hash string, err error) {
	if err := id.Validate(); err != nil {
		return "", err
	}
	if id.Password != nil {
		if hash, err = readPassword(id.Password); err != nil {
			return "", err
		}
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return hash, nil
}

// apply writes the Identity into a tree.
func (id Identity) apply(t *intree.Tree, hash string) error {
	errs := []error{replaceHostname(t, id.Hostname), writeMachineID(t, id.MachineID), newSeed(t)}
	if !id.KeepHostKeys {
		errs = append(errs, removeHostKeys(t))
	}
	if id.HostKey != nil {
		errs = append(errs, writeHostKey(t, id.HostKey))
	}
	if hash != "" {
		errs = append(errs, setPassword(t, hash))
	}
	return errors.Join(errs...)
}

// DeriveMachineID returns the id that the machine of that name always has in
// that lab. Different names give different ids.
func DeriveMachineID(lab, machine string) MachineID {
	sum := sha256.Sum256(fmt.Appendf(nil, "archboot machine-id\x00%d\x00%s%s", len(lab), lab, machine))
	return MachineID(formatMachineID([16]byte(sum[:16])))
}

// openFinished opens the tree of a root whose bootstrap is through.
func openFinished(root string) (*intree.Tree, error) {
	t, err := openTree(root)
	if err != nil {
		return nil, err
	}
	if err := checkComplete(t); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// checkComplete refuses what is no root, or not yet.
func checkComplete(t *intree.Tree) error {
	if _, err := t.Lstat(markerName); err == nil {
		return ErrIncomplete
	}
	if info, err := t.Stat("/etc"); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: it has no /etc", ErrBadRoot)
	}
	return nil
}

func replaceHostname(t *intree.Tree, name string) error {
	if name != "" {
		return writeHostname(t, name)
	}
	return ignoreMissing(t.Remove("/etc/hostname"))
}

// newSeed replaces the seed that systemd-random-seed would feed to the kernel,
// the same in every clone. Only its length matters, see random-seed(8).
func newSeed(t *intree.Tree) error {
	const file = "/var/lib/systemd/random-seed"
	if _, err := t.Lstat(file); err != nil {
		return ignoreMissing(err) // made at the first shutdown
	}
	seed := make([]byte, 512)
	rand.Read(seed)
	return t.WriteFile(file, seed, 0o600)
}

func removeHostKeys(t *intree.Tree) error {
	var errs []error
	for _, kind := range []string{"rsa", "dsa", "ecdsa", "ed25519", "mldsa"} {
		name := "/etc/ssh/ssh_host_" + kind + "_key"
		errs = append(errs, ignoreMissing(t.Remove(name)), ignoreMissing(t.Remove(name+".pub")))
	}
	return errors.Join(errs...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
