package testroot

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// mirror returns the address that the machine's own apt takes Debian from.
// RIG_DEBIAN_MIRROR overrides it.
func mirror(etcApt string) (string, error) {
	if uri := os.Getenv("RIG_DEBIAN_MIRROR"); uri != "" {
		return uri, nil
	}
	var found []source
	lists, _ := filepath.Glob(filepath.Join(etcApt, "sources.list.d", "*"))
	for _, path := range append([]string{filepath.Join(etcApt, "sources.list")}, lists...) {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // apt itself does without, too
		}
		switch filepath.Ext(path) {
		case ".list":
			found = append(found, parseList(string(text))...)
		case ".sources":
			found = append(found, parseDeb822(string(text))...)
		}
	}
	for _, s := range found {
		if s.debian() {
			return s.uri, nil
		}
	}
	return "", fmt.Errorf("no Debian source in %s, set RIG_DEBIAN_MIRROR: %w", etcApt, ErrUnreachable)
}

// source is one address in apt's configuration, sources.list(5).
type source struct {
	uri                string
	suites, components []string
}

// debian tells a whole Debian archive from security updates, from backports and
// from other vendors: it has one of Debian's own releases, and its main.
func (s source) debian() bool {
	if !strings.Contains(s.uri, "://") || !slices.Contains(s.components, "main") {
		return false
	}
	return slices.ContainsFunc(s.suites, func(suite string) bool {
		return slices.Contains(releases, suite)
	})
}

var releases = []string{
	"bullseye", "bookworm", "trixie", "forky", "duke", "sid",
	"oldoldstable", "oldstable", "stable", "testing", "unstable",
}

// parseList reads the one-line style: deb [options] uri suite component…
func parseList(text string) (found []source) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if open := strings.Index(line, "["); open >= 0 {
			_, rest, _ := strings.Cut(line[open:], "]")
			line = line[:open] + rest
		}
		if f := strings.Fields(line); len(f) >= 4 && f[0] == "deb" {
			found = append(found, source{uri: f[1], suites: f[2:3], components: f[3:]})
		}
	}
	return found
}

// parseDeb822 reads paragraphs of fields, whose values may continue on lines
// that begin with a blank.
func parseDeb822(text string) (found []source) {
	fields := map[string][]string{}
	flush := func() {
		enabled := !slices.Equal(fields["enabled"], []string{"no"})
		if enabled && slices.Contains(fields["types"], "deb") {
			for _, uri := range fields["uris"] {
				found = append(found, source{uri, fields["suites"], fields["components"]})
			}
		}
		fields = map[string][]string{}
	}
	var name string
	for scan := bufio.NewScanner(strings.NewReader(text)); scan.Scan(); {
		line := scan.Text()
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			fields[name] = append(fields[name], strings.Fields(line)...)
		default:
			var value string
			name, value, _ = strings.Cut(line, ":")
			name = strings.ToLower(name)
			fields[name] = strings.Fields(value)
		}
	}
	flush()
	return found
}

// reach asks the mirror for the suite's index, so that an absent network is told
// from a failed installation without reading apt's messages.
func reach(ctx context.Context, uri, suite, proxy string) error {
	if !strings.HasPrefix(uri, "http://") && !strings.HasPrefix(uri, "https://") {
		return nil // a file or an exotic transport: apt will see
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	index := strings.TrimSuffix(uri, "/") + "/dists/" + suite + "/InRelease"
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, index, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if u, err := url.Parse(proxy); proxy != "" && err == nil {
		transport.Proxy = http.ProxyURL(u)
	}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s: %s", ErrUnreachable, index, resp.Status)
	}
	return nil
}

// aptProxy returns the proxy that apt is configured with, unless the environment
// names one. mmdebstrap passes on the environment but not apt.conf.
func aptProxy(ctx context.Context) string {
	if os.Getenv("http_proxy") != "" || os.Getenv("HTTP_PROXY") != "" {
		return ""
	}
	out, err := exec.CommandContext(ctx, "apt-config", "shell", "P", "Acquire::http::Proxy").Output()
	if err != nil {
		return "" // no apt here
	}
	_, value, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
	return strings.Trim(value, "'")
}
