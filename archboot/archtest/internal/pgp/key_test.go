package pgp_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/prologin/rig/archboot/archtest/internal/pgp"
)

func newKey(t *testing.T, created time.Time, valid time.Duration) *pgp.Key {
	t.Helper()
	k, err := pgp.New("tester", created, valid)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// check verifies a signature as somebody who has only the public key.
func check(t *testing.T, k *pgp.Key, message string, sig []byte, now time.Time) error {
	t.Helper()
	public, err := k.Public()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(public, []byte("PRIVATE")) {
		t.Fatal("the public key has the private one")
	}
	keys, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(public))
	if err != nil {
		t.Fatal(err)
	}
	_, err = openpgp.CheckDetachedSignature(keys, strings.NewReader(message), bytes.NewReader(sig),
		&packet.Config{Time: func() time.Time { return now }})
	return err
}

func TestSign(t *testing.T) {
	t.Parallel()
	now := time.Now()
	k := newKey(t, now.Add(-time.Hour), 0)
	private, err := k.Private()
	if err != nil {
		t.Fatal(err)
	}
	again, err := pgp.Parse(private)
	if err != nil {
		t.Fatal(err)
	}
	if again.Fingerprint() != k.Fingerprint() || len(k.Fingerprint()) != 40 {
		t.Errorf("fingerprint %s after a round trip, %s before", again.Fingerprint(), k.Fingerprint())
	}
	sig, err := again.Sign(strings.NewReader("message"), now)
	if err != nil {
		t.Fatal(err)
	}
	same, err := k.Sign(strings.NewReader("message"), now)
	if err != nil || !bytes.Equal(sig, same) {
		t.Errorf("the same message, key and time give another signature, %v", err)
	}
	if err := check(t, k, "message", sig, now); err != nil {
		t.Error(err)
	}
	if err := check(t, k, "massage", sig, now); err == nil {
		t.Error("a changed message passes")
	}
	if err := check(t, newKey(t, now.Add(-time.Hour), 0), "message", sig, now); err == nil {
		t.Error("another key's signature passes")
	}
}

func TestExpiredKey(t *testing.T) {
	t.Parallel()
	made := time.Now().Add(-24 * time.Hour)
	k := newKey(t, made, time.Hour)
	sig, err := k.Sign(strings.NewReader("message"), made.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if err := check(t, k, "message", sig, made.Add(2*time.Minute)); err != nil {
		t.Errorf("while the key is valid: %v", err)
	}
	if err := check(t, k, "message", sig, time.Now()); err == nil {
		t.Error("an expired key's signature passes")
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	public, err := newKey(t, time.Now(), 0).Public()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"nothing": nil, "noise": []byte("noise"), "a public key": public} {
		if _, err := pgp.Parse(text); err == nil {
			t.Errorf("%s was taken for a private key", name)
		}
	}
}
