package check

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/prologin/rig/stage"
)

// URL holds when a GET of a URL is answered as it should. Redirects are not followed.
type URL struct {
	URL string

	// Status must be the answer's. Zero means 200.
	Status int

	// Header, if not empty, is "Name: value" and must be in the answer; "Name:" alone
	// asks only that it is there.
	Header string

	// Body must be somewhere in the first MiB of the answer.
	Body string

	// Host is the name to ask for if it is not that of the URL.
	Host string

	// Inside looks from inside the machine instead of from the host, with the
	// machine's own resolver.
	Inside bool
}

func (u URL) status() int {
	if u.Status == 0 {
		return http.StatusOK
	}
	return u.Status
}

// String states the condition.
func (u URL) String() string {
	text := fmt.Sprintf("%s answers %d", u.URL, u.status())
	if u.Header != "" {
		text += fmt.Sprintf(" with %q", u.Header)
	}
	if u.Body != "" {
		text += fmt.Sprintf(" containing %q", u.Body)
	}
	return text + where(u.Inside)
}

// Validate returns an error that matches [stage.ErrInvalid] if a field is wrong.
func (u URL) Validate() error {
	p, err := url.Parse(u.URL)
	if err != nil || p.Host == "" || p.Scheme != "http" && p.Scheme != "https" {
		return invalid("URL %q", u.URL)
	}
	if u.Header != "" && strings.Index(u.Header, ":") < 1 {
		return invalid("header %q is not NAME: VALUE", u.Header)
	}
	return nil
}

// Manual returns curl.
func (u URL) Manual(string) []stage.Line {
	args := []string{"curl", "-i"}
	if u.Host != "" {
		args = append(args, "-H", "Host: "+u.Host)
	}
	return typed(u.Inside, append(args, u.URL)...)
}

// Probe asks for the URL.
func (u URL) Probe(ctx context.Context, s *stage.Session) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	// Each look has connections of its own: none must be kept by a machine that will be
	// frozen, and none be taken over from before a restart of the server.
	transport := &http.Transport{DialContext: dialer(s, u.Inside), DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.URL, nil)
	if err != nil {
		return invalid("URL: %v", err)
	}
	req.Host = u.Host
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return late(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return late(err)
	}
	if resp.StatusCode != u.status() {
		return fmt.Errorf("status %s: %s", resp.Status, excerpt(body))
	}
	if err := u.header(resp.Header); err != nil {
		return err
	}
	if !strings.Contains(string(body), u.Body) {
		return fmt.Errorf("status %s without it: %s", resp.Status, excerpt(body))
	}
	return nil
}

func (u URL) header(h http.Header) error {
	name, want, _ := strings.Cut(u.Header, ":")
	if name == "" {
		return nil
	}
	want = strings.TrimSpace(want)
	values := h.Values(name)
	for _, v := range values {
		if want == "" || v == want {
			return nil
		}
	}
	if values == nil {
		return fmt.Errorf("no header %s", name)
	}
	return fmt.Errorf("header %s is %q", name, values)
}
