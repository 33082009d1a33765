package archboot

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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

	f, err := fetch(t.Context(), server.URL, nil)
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
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := extractVerified(ctx, f, sum, dir, "root.x86_64"); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

// transport answers every request itself.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestStalledServer waits for a server for as long as something comes, be it little,
// and not for ever. The clock is the test's own.
func TestStalledServer(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/silent" {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		}
		body, w := io.Pipe()
		context.AfterFunc(r.Context(), func() { w.CloseWithError(r.Context().Err()) })
		go func() {
			for range 100 {
				time.Sleep(patience - time.Second)
				w.Write([]byte("x"))
			}
			if r.URL.Path == "/slow" {
				w.Close()
			}
		}()
		return &http.Response{StatusCode: http.StatusOK, Body: body, Request: r}, nil
	})}
	read := func(ctx context.Context, path string) (int, error) {
		d, err := get(ctx, client, "http://mirror"+path)
		if err != nil {
			return 0, err
		}
		defer d.Close()
		data, err := io.ReadAll(d)
		if err != nil {
			err = downloadError(ctx, path, err)
		}
		return len(data), err
	}
	for path, want := range map[string]struct {
		bytes int
		err   error
	}{"/slow": {100, nil}, "/stalls": {100, ErrMirror}, "/silent": {0, ErrMirror}} {
		synctest.Test(t, func(t *testing.T) {
			n, err := read(t.Context(), path)
			if n != want.bytes || !errors.Is(err, want.err) || errors.Is(err, context.Canceled) {
				t.Errorf("%s: %d bytes, %v; want %d, %v", path, n, err, want.bytes, want.err)
			}
			if err != nil && !strings.Contains(err.Error(), "http://mirror"+path+": the server sent nothing for 30s") {
				t.Errorf("%s: %v", path, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // a caller who has had enough is no stall
		tired := errors.New("tired")
		ctx, cancel := context.WithTimeoutCause(t.Context(), patience/2, tired)
		defer cancel()
		if _, err := read(ctx, "/silent"); err != tired {
			t.Errorf("given up: %v", err)
		}
	})
}

// TestDownloadTells: long downloads tell how far they are.
func TestDownloadTells(t *testing.T) {
	t.Parallel()
	const size = 2*tellEvery + tellEvery/2
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(make([]byte, size)))
	}))
	defer server.Close()
	var got []string
	f, err := fetch(t.Context(), server.URL+"/arch.tar.zst", func(e Event) { got = append(got, e.String()) })
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if want := []string{"downloading arch.tar.zst: 8 of 20 MiB", "downloading arch.tar.zst: 16 of 20 MiB"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestSignatureIsSmall: a server that sends a signature for ever is not listened to.
func TestSignatureIsSmall(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	if data, err := readSmall(t.Context(), server.URL, 1000); err != nil || len(data) != 1000 {
		t.Errorf("read %d bytes, %v", len(data), err)
	}
}
