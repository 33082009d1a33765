package archboot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// toolsName is the directory in the unfinished root that a bootstrap tarball is
// unpacked to. It is gone when the root is finished.
const toolsName = ".archboot-tools"

// unpackTools verifies the tarball and unpacks it below the root. What it holds
// is used to run pacman, and not a single file of it stays, so that the root is
// the same as one made by the host's pacman.
func (b *builder) unpackTools(ctx context.Context, root string) (tools string, err error) {
	src := b.config.Source
	b.step("fetch " + src.Tarball)
	f, err := fetch(ctx, src.Tarball, b.emit)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b.step("verify " + src.Tarball)
	sum, err := src.verify(ctx, f, b.config.Keys)
	if err != nil {
		return "", err
	}
	b.step("unpack " + src.Tarball)
	t, err := openTree(root)
	if err != nil {
		return "", err
	}
	defer t.Close()
	if err := t.MkdirAll(toolsName, 0o755); err != nil {
		return "", err
	}
	tools = filepath.Join(root, toolsName)
	if err := extractVerified(ctx, f, sum, tools, "root."+b.config.Architecture); err != nil {
		return "", err
	}
	return tools, nameServices(tools)
}

// extractVerified unpacks the file from its beginning, provided that it still has the
// sum. Nothing of it has been run by the time that this is known.
func extractVerified(ctx context.Context, f *os.File, sum, dir, prefix string) error {
	r, err := reread(ctx, f)
	if err != nil {
		return err
	}
	err = extract(ctx, r, dir, prefix)
	if ctx.Err() != nil { // which looks like a damaged archive
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	return r.same(sum)
}

// rereading is a file from its beginning, and the sum of what was read of it: whoever
// may write to the file could change it between two readings.
type rereading struct {
	io.Reader
	hash hash.Hash
	name string
}

func reread(ctx context.Context, f *os.File) (*rereading, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	h := sha256.New()
	return &rereading{io.TeeReader(readerWithContext{ctx, f}, h), h, f.Name()}, nil
}

// sum reads the rest and returns the SHA-256 sum of the whole.
func (r *rereading) sum() (string, error) {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(r.hash.Sum(nil)), nil
}

// same fails if the file has another sum than it had.
func (r *rereading) same(sum string) error {
	if got, err := r.sum(); err != nil || got == sum {
		return err
	}
	return fmt.Errorf("%w: %s changed while it was verified and unpacked", ErrCorrupt, r.name)
}

// verify checks the tarball's checksum and signature, and returns its SHA-256 sum.
func (s Source) verify(ctx context.Context, f *os.File, keys [][]byte) (sum string, err error) {
	r, err := reread(ctx, f)
	if err != nil {
		return "", err
	}
	if sum, err = r.sum(); err != nil {
		return "", err
	}
	if s.SHA256 != "" && !strings.EqualFold(sum, s.SHA256) {
		return "", fmt.Errorf("%w: %s has the SHA-256 sum %s, not %s", ErrCorrupt, s.Tarball, sum, s.SHA256)
	}
	if s.Unsigned {
		return sum, nil
	}
	if r, err = reread(ctx, f); err != nil {
		return "", err
	}
	if err := s.verifySignature(ctx, r, keys); err != nil {
		return "", err
	}
	return sum, r.same(sum)
}

// verifySignature wants a signature by one of the keys that has a pinned fingerprint.
func (s Source) verifySignature(ctx context.Context, r io.Reader, keys [][]byte) error {
	ring, err := readKeys(keys...)
	if err != nil {
		return err
	}
	signature, err := s.signature(ctx)
	if err != nil {
		return err
	}
	_, signer, err := openpgp.VerifyDetachedSignature(ring.entities, r, strings.NewReader(signature), nil)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSignature, s.Tarball, err)
	}
	by := strings.ToUpper(hex.EncodeToString(signer.PrimaryKey.Fingerprint))
	for _, pinned := range s.Fingerprints {
		if normalFingerprint(pinned) == by {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is signed by %s, which is none of the pinned fingerprints", ErrSignature, s.Tarball, by)
}

// signature returns the detached signature, binary.
func (s Source) signature(ctx context.Context) (string, error) {
	location := s.Signature
	if location == "" {
		location = s.Tarball + ".sig"
	}
	data, err := readSmall(ctx, location, 1<<20)
	if err != nil {
		return "", fmt.Errorf("%w: a signature is required: %w", ErrSignature, err)
	}
	data, err = dearmor(data)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return string(data), nil
}

// normalFingerprint takes fingerprints as people write them.
func normalFingerprint(s string) string {
	return strings.ToUpper(strings.Join(strings.Fields(s), ""))
}

// readerWithContext stops reading when the context ends.
type readerWithContext struct {
	ctx context.Context
	r   io.Reader
}

func (r readerWithContext) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}
