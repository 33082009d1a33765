package archtest

import (
	"errors"
	"fmt"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Upstream is a real mirror of Arch Linux that a [Mirror] passes requests on to, so
// that the tests written for the hermetic one run against it as they are: with the
// log of requests, faults, and listening in the network namespaces of machines.
type Upstream struct {
	// URL is that of the mirror's top directory, with the repositories below it at
	// $repo/os/$arch.
	URL string
	// KeyFile holds the OpenPGP keys that packages are signed with, such as
	// /usr/share/pacman/keyrings/archlinux.gpg.
	KeyFile string
	// Fingerprint is that of the key that signs bootstrap tarballs.
	Fingerprint string
}

func (u *Upstream) faults(o Options) []error {
	var faults []error
	parsed, err := url.Parse(u.URL)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		faults = append(faults, fmt.Errorf("%w: upstream %q is no http or https URL", ErrInvalid, u.URL))
	}
	if o.Suite != "" || len(o.AddOns) > 0 || len(o.Packages) > 0 || o.ExpiredKey {
		faults = append(faults, fmt.Errorf("%w: an upstream has its own packages and key", ErrInvalid))
	}
	if u.KeyFile == "" {
		faults = append(faults, fmt.Errorf("%w: an upstream needs a KeyFile", ErrInvalid))
	}
	return faults
}

// loadUpstream makes the site a proxy.
func (m *Mirror) loadUpstream() error {
	u := m.opts.Upstream
	var err error
	if m.public, err = os.ReadFile(u.KeyFile); err != nil {
		return err
	}
	if m.keyFile, err = filepath.Abs(u.KeyFile); err != nil {
		return err
	}
	target, err := url.Parse(strings.TrimSuffix(u.URL, "/"))
	if err != nil {
		return errors.Join(ErrInvalid, err)
	}
	m.repositories = []string{"core", "extra"}
	m.site.upstream = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = target.Host
		},
		ErrorLog: m.errorLog(),
	}
	return nil
}
