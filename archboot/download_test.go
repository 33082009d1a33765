package archboot

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// TestDownloadedTarball verifies and unpacks what a server has, by its sum: the file
// that it is stored in was written to its end.
func TestDownloadedTarball(t *testing.T) {
	t.Parallel()
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	err := w.WriteHeader(&tar.Header{Name: "root.x86_64/version", Mode: 0o644, Size: 2})
	if _, writeErr := w.Write([]byte("1\n")); errors.Join(err, writeErr, w.Close()) != nil {
		t.Fatal(err, writeErr)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(data.Bytes()) }))
	defer server.Close()

	f, err := fetch(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := fmt.Sprintf("%x", sha256.Sum256(data.Bytes()))
	sum, err := Source{Tarball: server.URL, SHA256: want, Unsigned: true}.verify(t.Context(), f, nil)
	if err != nil || sum != want {
		t.Fatalf("verify: %s, %v, want %s", sum, err, want)
	}
	dir := t.TempDir()
	if err := extractVerified(t.Context(), f, sum, dir, "root.x86_64"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "version")); err != nil || string(got) != "1\n" {
		t.Errorf("unpacked: %q, %v", got, err)
	}
}
