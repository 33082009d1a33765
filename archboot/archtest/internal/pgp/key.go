// Package pgp makes the OpenPGP key that a test mirror signs with: Ed25519,
// because it signs a package in microseconds where RSA takes milliseconds.
package pgp

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Key signs. It is safe for concurrent use.
type Key struct {
	entity *openpgp.Entity
}

// New makes a key that was created at the given time and is valid for the given
// duration, for ever if that is zero.
func New(name string, created time.Time, valid time.Duration) (*Key, error) {
	cfg := config(created)
	cfg.KeyLifetimeSecs = uint32(valid / time.Second)
	entity, err := openpgp.NewEntity(name, "", "mirror@archtest.invalid", cfg)
	if err != nil {
		return nil, fmt.Errorf("make an OpenPGP key: %w", err)
	}
	return &Key{entity}, nil
}

func config(now time.Time) *packet.Config {
	deterministic := false
	return &packet.Config{
		Algorithm:                             packet.PubKeyAlgoEdDSA,
		DefaultHash:                           crypto.SHA512,
		Time:                                  func() time.Time { return now },
		NonDeterministicSignaturesViaNotation: &deterministic,
	}
}

// Parse reads what [Key.Private] wrote.
func Parse(private []byte) (*Key, error) {
	entities, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(private))
	if err != nil {
		return nil, fmt.Errorf("read the mirror's private key: %w", err)
	}
	if len(entities) != 1 || entities[0].PrivateKey == nil {
		return nil, fmt.Errorf("read the mirror's private key: found %d keys, want one with its secret", len(entities))
	}
	return &Key{entities[0]}, nil
}

// Fingerprint is the key's in upper-case hexadecimal, as gpg prints it.
func (k *Key) Fingerprint() string {
	return strings.ToUpper(hex.EncodeToString(k.entity.PrimaryKey.Fingerprint))
}

// Private returns the whole key, armored and not encrypted.
func (k *Key) Private() ([]byte, error) {
	return armored(openpgp.PrivateKeyType, func(w io.Writer) error {
		return k.entity.SerializePrivateWithoutSigning(w, nil)
	})
}

// Public returns the public key, armored.
func (k *Key) Public() ([]byte, error) {
	return armored(openpgp.PublicKeyType, k.entity.Serialize)
}

// PublicBinary returns the public key as gpg --export writes it.
func (k *Key) PublicBinary() ([]byte, error) {
	var b bytes.Buffer
	err := k.entity.Serialize(&b)
	return b.Bytes(), err
}

// Sign returns a detached binary signature made at the given time.
func (k *Key) Sign(message io.Reader, now time.Time) ([]byte, error) {
	var b bytes.Buffer
	if err := openpgp.DetachSign(&b, k.entity, message, config(now)); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return b.Bytes(), nil
}

func armored(kind string, write func(io.Writer) error) ([]byte, error) {
	var b bytes.Buffer
	w, err := armor.Encode(&b, kind, nil)
	if err != nil {
		return nil, err
	}
	if err := write(w); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
