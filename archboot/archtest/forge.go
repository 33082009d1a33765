package archtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prologin/rig/archboot/archtest/internal/pgp"
)

// WrongKey answers requests for signatures with ones by a key that nobody knows.
// Inject it for "*.sig" or for a narrower pattern.
func WrongKey() Fault {
	key := sync.OnceValues(func() (*pgp.Key, error) {
		return pgp.New("somebody else", time.Now().Add(-24*time.Hour), 0)
	})
	return resign(func(message []byte) ([]byte, error) {
		k, err := key()
		if err != nil {
			return nil, err
		}
		return k.Sign(bytes.NewReader(message), time.Now())
	})
}

// resign answers requests for a signature with one that sign makes.
func resign(sign func(message []byte) ([]byte, error)) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name, ok := strings.CutSuffix(r.URL.Path, ".sig")
			if !ok {
				next.ServeHTTP(w, r)
				return
			}
			signed := r.Clone(r.Context())
			signed.URL.Path = name
			body := record(next, signed)
			if body.status != http.StatusOK {
				http.NotFound(w, r)
				return
			}
			sig, err := sign(body.data)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(sig))
		})
	}
}

// StaleDatabase answers requests for databases as a mirror does that did not take
// part in the last synchronisation: signed by the right key, it lists an earlier
// release of every package, which the mirror no longer has. Inject it for "*.db*"
// or for a narrower pattern that covers the database and its signature.
func (m *Mirror) StaleDatabase() Fault {
	return m.forged(func(data []byte) []byte {
		if old, err := age(data); err == nil {
			return old
		}
		return data
	})
}

// Database answers requests for databases with one of the given files, signed by the
// right key: what a mirror could say whose owner is hostile. Their names are such as
// "base-1-1/desc"; nothing in them is checked. Inject it for "*.db*" or for a narrower
// pattern that covers the database and its signature. As with [Mirror.StaleDatabase],
// an [Upstream] has no signatures then, but an error.
func (m *Mirror) Database(files map[string]string) Fault {
	return m.forged(func([]byte) []byte { return pack(files) })
}

// forged answers with what edit makes of a file, and with a good signature of that.
func (m *Mirror) forged(edit func(data []byte) []byte) Fault {
	return func(next http.Handler) http.Handler {
		edited := Rewrite(edit)(next)
		signed := resign(func(message []byte) ([]byte, error) {
			if m.key == nil {
				return nil, errors.New("nothing can be signed with the key of an upstream")
			}
			return m.key.Sign(bytes.NewReader(message), time.Now())
		})(edited)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ".sig") {
				signed.ServeHTTP(w, r)
				return
			}
			edited.ServeHTTP(w, r)
		})
	}
}

// pack makes a compressed archive. It is written to memory, where nothing fails.
func pack(files map[string]string) []byte {
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	out := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		_ = out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))})
		_, _ = io.WriteString(out, files[name])
	}
	_, _ = out.Close(), zip.Close()
	return b.Bytes()
}

// age rewrites a database so that each package has release 0.
func age(database []byte) ([]byte, error) {
	unzip, err := gzip.NewReader(bytes.NewReader(database))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	in, out := tar.NewReader(unzip), tar.NewWriter(zip)
	for {
		header, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		text = ageText(text)
		header.Size = int64(len(text))
		dir, rest, _ := strings.Cut(header.Name, "/")
		header.Name = dir[:strings.LastIndexByte(dir, '-')+1] + "0/" + rest
		if err := out.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := out.Write(text); err != nil {
			return nil, err
		}
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	err = zip.Close()
	return b.Bytes(), err
}

// ageText sets the release to 0 in "%VERSION%\n1.0-3" and in
// "%FILENAME%\nname-1.0-3-any.pkg.tar.zst".
func ageText(text []byte) []byte {
	lines := strings.Split(string(text), "\n")
	for i := 1; i < len(lines); i++ {
		parts := strings.Split(lines[i], "-")
		switch lines[i-1] {
		case "%VERSION%":
			parts[len(parts)-1] = "0"
		case "%FILENAME%":
			parts[max(0, len(parts)-2)] = "0"
		default:
			continue
		}
		lines[i] = strings.Join(parts, "-")
	}
	return []byte(strings.Join(lines, "\n"))
}
