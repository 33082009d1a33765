package archboot

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// decompress recognises gzip and zstd by their first bytes; other streams are
// taken as they are.
func decompress(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 1<<20)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(b)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderMaxWindow(1<<28))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(b), nil
}

// A trailer remembers the end of an archive. archive/tar takes a stream that stops
// between two entries, or in the padding of one, for complete.
type trailer struct {
	r    io.Reader
	last []byte // up to two blocks
}

func (t *trailer) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.last = append(t.last, p[max(0, n-1024):n]...)
	t.last = append(t.last[:0], t.last[max(0, len(t.last)-1024):]...)
	return n, err
}

// check wants the two blocks of zeros that end every archive.
func (t *trailer) check() error {
	if !bytes.Equal(t.last, make([]byte, 1024)) {
		return fmt.Errorf("%w: the archive is cut short", ErrCorrupt)
	}
	return nil
}

// drain reads the padding after an archive's last entry, so that the checksum at
// the end of a compressed stream is looked at.
func drain(r io.Reader) error {
	if _, err := io.CopyN(io.Discard, r, 1<<20); err != nil && err != io.EOF {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

// below returns the name of an entry relative to the prefix. The prefix itself is
// ".".
func below(name, prefix string) (rel string, ok bool, err error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." || strings.ContainsRune(part, 0) {
			return "", false, fmt.Errorf("%w: entry %q", ErrHostile, name)
		}
	}
	name = path.Clean("/" + name)[1:]
	if name == prefix {
		return ".", true, nil
	}
	rel, ok = strings.CutPrefix(name, prefix+"/")
	return rel, ok, nil
}
