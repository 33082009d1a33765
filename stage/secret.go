package stage

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// secrets looks secrets up and keeps them out of sight. It may be used concurrently.
type secrets struct {
	lookup  func(ctx context.Context, name string) ([]byte, error)
	keyFile string

	mu     sync.Mutex
	known  map[string][]byte
	hidden []hidden // longest first, so that none shows the rest of a longer one
	key    []byte
}

// hidden is a line of a secret's value, and what is shown in its place.
type hidden struct{ line, name []byte }

// get returns the secret's value, asking for it once only.
func (s *secrets) get(ctx context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.known[name]; ok {
		return v, nil
	}
	if s.lookup == nil {
		return nil, fmt.Errorf("secret %q: %w: no Options.Secret", name, ErrNotFound)
	}
	v, err := s.lookup(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("secret %q: %w", name, err)
	}
	if s.known == nil {
		s.known = map[string][]byte{}
	}
	s.known[name] = v
	s.hide(name, v)
	return v, nil
}

// minRedacted is the length from which a secret is hidden in output. Hiding shorter
// ones would make the output unreadable and give them away.
const minRedacted = 4

func (s *secrets) hide(name string, value []byte) {
	for line := range bytes.Lines(value) {
		if line = bytes.TrimSpace(line); len(line) >= minRedacted {
			s.hidden = append(s.hidden, hidden{line, []byte("[secret " + name + "]")})
		}
	}
	slices.SortStableFunc(s.hidden, func(a, b hidden) int { return len(b.line) - len(a.line) })
}

// mac returns the secret's HMAC under the lab's key: equal for equal secrets, and of
// no use to whoever guesses, without the key file.
func (s *secrets) mac(ctx context.Context, name string) (string, error) {
	v, err := s.get(ctx, name)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key == nil {
		if s.key, err = loadKey(s.keyFile); err != nil {
			return "", err
		}
	}
	h := hmac.New(sha256.New, s.key)
	h.Write(v)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// loadKey reads the lab's key, making it the first time.
func loadKey(file string) ([]byte, error) {
	key, err := os.ReadFile(file)
	if err == nil && len(key) == 32 {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	key = make([]byte, 32)
	rand.Read(key)
	err = os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = writeFile(file, key, 0o600)
	}
	if errors.Is(err, fs.ErrPermission) {
		// Only somebody who previews a plan gets here: a run has the lock in there.
		err = nil
	}
	return key, err
}

// redact replaces every secret in some output by its name.
func (s *secrets) redact(text []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hidden {
		text = bytes.ReplaceAll(text, h.line, h.name)
	}
	return text
}

func (s *secrets) redactText(text string) string { return string(s.redact([]byte(text))) }

// redactError returns an error without secrets in its text. It is still all that err is.
func (s *secrets) redactError(err error) error {
	text := s.redactText(err.Error())
	if text == err.Error() {
		return err
	}
	return &redacted{err, text}
}

type redacted struct {
	err  error
	text string
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.err }
