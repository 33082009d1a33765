package archboot

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/prologin/rig/internal/intree"
	"golang.org/x/crypto/ssh"
)

// DeriveHostKey returns the SSH host key that the machine of that name always has in
// that lab, for whoever knows the secret: clients that know it are not asked again when
// the machine is made anew. The secret should be 32 random bytes, kept as long as the
// lab; who has it has the keys of all machines.
func DeriveHostKey(secret []byte, lab, machine string) ed25519.PrivateKey {
	info := fmt.Sprintf("archboot ssh host key\x00%d\x00%s%s", len(lab), lab, machine)
	seed, err := hkdf.Key(sha256.New, secret, nil, info, ed25519.SeedSize)
	if err != nil {
		panic("archboot: " + err.Error()) // only of a length that no hash could give
	}
	return ed25519.NewKeyFromSeed(seed)
}

// writeHostKey writes both halves of the key where sshd looks for them.
func writeHostKey(t *intree.Tree, key ed25519.PrivateKey) error {
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return err
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return err
	}
	const file = "/etc/ssh/ssh_host_ed25519_key"
	return errors.Join(
		t.MkdirAll("/etc/ssh", 0o755),
		t.WriteFile(file, pem.EncodeToMemory(block), 0o600),
		t.WriteFile(file+".pub", ssh.MarshalAuthorizedKey(public), 0o644),
	)
}
