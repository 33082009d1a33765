package testroot

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestReach(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/debian/dists/trixie/InRelease" {
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	gone := httptest.NewServer(nil)
	gone.Close()

	if err := reach(t.Context(), server.URL+"/debian/", Trixie, ""); err != nil {
		t.Errorf("a mirror that has the suite: %v", err)
	}
	if err := reach(t.Context(), server.URL+"/debian", Sid, ""); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a mirror without the suite: %v", err)
	}
	if err := reach(t.Context(), gone.URL, Sid, ""); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a mirror that is down: %v", err)
	}
	if err := reach(t.Context(), "file:///srv/debian", Sid, ""); err != nil {
		t.Errorf("a local mirror: %v", err)
	}
}

func TestReachByProxy(t *testing.T) {
	var asked string
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
	}))
	defer proxy.Close()
	if err := reach(t.Context(), "http://mirror.invalid/debian", Trixie, proxy.URL); err != nil {
		t.Fatal(err)
	}
	if want := "http://mirror.invalid/debian/dists/trixie/InRelease"; asked != want {
		t.Errorf("the proxy was asked for %q, want %q", asked, want)
	}
}
