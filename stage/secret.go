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
	"sync"
)

// secrets looks secrets up and keeps them out of sight. It may be used concurrently.
type secrets struct {
	lookup  func(ctx context.Context, name string) ([]byte, error)
	keyFile string

	mu    sync.Mutex
	known map[string][]byte
	key   []byte
}

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
	return v, nil
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

// minRedacted is the length from which a secret is hidden in output. Hiding shorter
// ones would make the output unreadable and give them away.
const minRedacted = 4

// redact replaces every secret in a line of output by its name.
func (s *secrets) redact(line []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, v := range s.known {
		for part := range bytes.Lines(v) {
			if part = bytes.TrimSpace(part); len(part) >= minRedacted {
				line = bytes.ReplaceAll(line, part, []byte("[secret "+name+"]"))
			}
		}
	}
	return line
}
