package archtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
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
	return func(next http.Handler) http.Handler {
		stale := Rewrite(func(data []byte) []byte {
			if old, err := age(data); err == nil {
				return old
			}
			return data
		})(next)
		signed := resign(func(message []byte) ([]byte, error) {
			return m.key.Sign(bytes.NewReader(message), time.Now())
		})(stale)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ".sig") {
				signed.ServeHTTP(w, r)
				return
			}
			stale.ServeHTTP(w, r)
		})
	}
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
