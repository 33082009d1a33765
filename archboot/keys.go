package archboot

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/prologin/rig/internal/intree"
)

// A keyring is a set of public keys that are trusted.
type keyring struct {
	entities     openpgp.EntityList
	packets      []byte   // all keys, binary, one after the other
	fingerprints []string // of the primary keys, upper case
}

// readKeys reads OpenPGP public keys, armoured (also several blocks in a row) or
// binary.
func readKeys(blobs ...[]byte) (*keyring, error) {
	ring := new(keyring)
	for _, blob := range blobs {
		packets, err := dearmor(blob)
		if err != nil {
			return nil, err
		}
		list, err := openpgp.ReadKeyRing(bytes.NewReader(packets))
		if err != nil {
			return nil, fmt.Errorf("no OpenPGP public key: %w", err)
		}
		if len(list) == 0 {
			return nil, errors.New("no OpenPGP public key in it")
		}
		for _, e := range list {
			if e.PrivateKey != nil {
				return nil, errors.New("an OpenPGP private key, where a public one is wanted")
			}
			ring.fingerprints = append(ring.fingerprints, strings.ToUpper(hex.EncodeToString(e.PrimaryKey.Fingerprint)))
		}
		ring.entities = append(ring.entities, list...)
		ring.packets = append(ring.packets, packets...)
	}
	return ring, nil
}

var armorStart = []byte("-----BEGIN PGP ")

func dearmor(blob []byte) ([]byte, error) {
	if !bytes.Contains(blob, armorStart) {
		return blob, nil
	}
	var packets []byte
	for {
		at := bytes.Index(blob, armorStart)
		if at < 0 {
			return packets, nil
		}
		rest := bytes.NewReader(blob[at:])
		block, err := armor.Decode(rest)
		if err != nil {
			return nil, fmt.Errorf("armoured OpenPGP key: %w", err)
		}
		body, err := io.ReadAll(block.Body)
		if err != nil {
			return nil, fmt.Errorf("armoured OpenPGP key: %w", err)
		}
		packets = append(packets, body...)
		next := bytes.Index(blob[at+1:], armorStart)
		if next < 0 {
			return packets, nil
		}
		blob = blob[at+1+next:]
	}
}

// gpgConf is the gpg.conf that goes with the keys. A trusted-key is trusted as
// one's own, which spares the secret key, the local signatures and the agent that
// pacman-key --init and --lsign-key need. Without dirmngr, pacman cannot go
// looking for an unknown key on the network.
func (k *keyring) gpgConf() []byte {
	var b strings.Builder
	b.WriteString("no-greeting\nno-permission-warning\nno-auto-key-retrieve\ndisable-dirmngr\nbatch\n")
	for _, f := range k.fingerprints {
		fmt.Fprintf(&b, "trusted-key %s\n", f)
	}
	return []byte(b.String())
}

// write makes dir, inside the tree, a GnuPG home directory with the keys.
// GnuPG reads pubring.gpg wherever there is no pubring.kbx, and libalpm wants to
// find it.
func (k *keyring) write(t *intree.Tree, dir string) error {
	return errors.Join(
		t.MkdirAll(dir, 0o700),
		t.WriteFile(dir+"/pubring.gpg", k.packets, 0o600),
		t.WriteFile(dir+"/gpg.conf", k.gpgConf(), 0o600),
	)
}

// hostKeyring is where pacman keeps the keys that an Arch host trusts.
const hostKeyring = "/etc/pacman.d/gnupg"

// haveHostKeyring says whether this host has a keyring for pacman.
func haveHostKeyring() bool {
	_, err := os.Stat(hostKeyring + "/pubring.gpg")
	return err == nil
}
