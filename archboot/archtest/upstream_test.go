package archtest_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/prologin/rig/archboot/archtest"
)

// TestUpstream passes requests on to another mirror, which stands for a real one.
func TestUpstream(t *testing.T) {
	t.Parallel()
	real := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic, Repository: "test"})
	var logged strings.Builder
	o := archtest.Options{
		Upstream: &archtest.Upstream{URL: real.URL + "/", KeyFile: real.PublicKeyFile(), Fingerprint: "ABCD"},
		Logger:   slog.New(slog.NewTextHandler(&logged, nil)),
	}
	if !archtest.Cached(o) {
		t.Error("an upstream is to be built")
	}
	m := archtest.NewMirror(t, o)
	fetch := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get(m.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(data)
	}
	if status, body := fetch("/test/os/x86_64/test.db.sig"); status != 200 || len(body) < 50 {
		t.Errorf("the signature: %d, %d bytes", status, len(body))
	}
	if status, _ := fetch("/nosuch"); status != 404 {
		t.Errorf("what upstream has not: %d", status)
	}
	remove := m.Inject("*.db.sig", archtest.Status(503))
	if status, _ := fetch("/test/os/x86_64/test.db.sig"); status != 503 {
		t.Errorf("with a fault: %d", status)
	}
	remove()
	if n := len(m.Requests()); n != 3 || len(real.Requests()) != 2 {
		t.Errorf("%d requests here and %d upstream, want 3 and 2", n, len(real.Requests()))
	}
	remove = m.Inject("*.db*", m.StaleDatabase())
	if status, body := fetch("/test/os/x86_64/test.db.sig"); status != 500 || !strings.Contains(body, "key of an upstream") {
		t.Errorf("a signature of ours: %d, %s", status, body)
	}
	remove()
	if m.Fingerprint() != "ABCD" || m.SigLevel() != "Required DatabaseOptional" || string(m.PublicKey()) != string(real.PublicKey()) {
		t.Errorf("key %s, level %s", m.Fingerprint(), m.SigLevel())
	}
	if err := real.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _ := fetch("/test/os/x86_64/test.db"); status != 502 || !strings.Contains(logged.String(), "proxy error") {
		t.Errorf("without upstream: %d, log:\n%s", status, &logged)
	}
}

func TestUpstreamRefused(t *testing.T) {
	t.Parallel()
	const url = "http://127.0.0.1:1"
	for name, o := range map[string]archtest.Options{
		"no URL":      {Upstream: &archtest.Upstream{URL: "mirror", KeyFile: "x"}},
		"no key":      {Upstream: &archtest.Upstream{URL: url}},
		"with suite":  {Suite: archtest.Trixie, Upstream: &archtest.Upstream{URL: url, KeyFile: "x"}},
		"expired key": {ExpiredKey: true, Upstream: &archtest.Upstream{URL: url, KeyFile: "x"}},
	} {
		if _, err := archtest.Start(t.Context(), o); !errors.Is(err, archtest.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
