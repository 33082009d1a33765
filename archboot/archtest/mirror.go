package archtest

import (
	"context"
	"errors"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prologin/rig/archboot/archtest/internal/pgp"
	"github.com/prologin/rig/internal/tempdir"
)

// keyName is the user name of every mirror's key.
const keyName = "archtest mirror"

// Mirror is a running mirror. Its methods may be called concurrently.
type Mirror struct {
	// URL is http://HOST:PORT, without a slash at the end. Repositories are at
	// URL/$repo/os/$arch, as on every Arch mirror.
	URL string

	opts         Options
	key          *pgp.Key
	public       []byte
	signed       time.Time // the date of the signatures that are made at the start
	keyFile      string
	temp         *tempdir.Dir // see tempDir
	repositories []string
	site         *site
	release      func() // of the cache's entry; nil where there is none
	server       *http.Server

	mu      sync.Mutex
	closed  bool
	serving sync.WaitGroup // one for each listener and each connection
}

// Start builds the mirror if it is not in the cache, and serves it until [Mirror.Close].
//
// Building takes most of a minute for a Debian suite, needs root, the packages of
// [DebianPackages] and a Debian archive in reach; the context cancels it. A second
// process that wants the same mirror waits for the first. A mirror in the cache
// needs none of that, only to be read by the user who built it: its private key is
// nobody else's.
//
// The address is taken before anything is built. Errors are *[Error]; errors.Is tells
// [ErrInvalid], [ErrMissingProgram] and [ErrPrivilege] apart.
func Start(ctx context.Context, o Options) (*Mirror, error) {
	if err := o.Validate(); err != nil {
		return nil, wrap("start", o.Suite, err)
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, wrap("start", o.Suite, err)
	}
	m := &Mirror{opts: o, site: newSite(o.Logger), signed: time.Now()}
	if err := m.start(ctx); err != nil {
		return nil, wrap("start", o.Suite, errors.Join(err, m.Close()))
	}
	return m, nil
}

func (m *Mirror) start(ctx context.Context) error {
	// First of all, so that an address that is not to be had is known at once.
	l, err := listen(ctx, m.opts.Listen, m.opts.Netns)
	if err != nil {
		return err
	}
	p := &progress{opts: m.opts}
	if err := m.load(ctx, p); err != nil {
		return errors.Join(err, l.Close())
	}
	if err := m.addSynthetic(ctx); err != nil {
		return errors.Join(err, l.Close())
	}
	m.server = &http.Server{Handler: m.site, ReadHeaderTimeout: 10 * time.Second, ErrorLog: m.errorLog(), ConnState: m.connection}
	if m.URL, err = m.serve(l); err != nil {
		return err
	}
	p.report(Event{Phase: "serve", Message: "serving at " + m.URL})
	return nil
}

// connection counts those that are open, whose requests Close waits for.
func (m *Mirror) connection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		m.serving.Add(1) // by the listener, which is one itself
	case http.StateClosed, http.StateHijacked:
		m.serving.Done()
	}
}

// errorLog is for the parts of net/http, which otherwise print to standard error.
func (m *Mirror) errorLog() *log.Logger {
	return slog.NewLogLogger(m.opts.Logger.Handler(), slog.LevelWarn)
}

// load finds or builds what is served, and its key.
func (m *Mirror) load(ctx context.Context, p *progress) error {
	switch {
	case m.opts.Upstream != nil:
		return m.loadUpstream()
	case m.opts.Suite == Synthetic:
		return m.loadSynthetic()
	}
	dir, err := m.build(ctx, p)
	if err != nil {
		return err
	}
	m.release, err = hold(dir)
	if errors.Is(err, fs.ErrNotExist) { // evicted meanwhile: what is built now is the newest
		if dir, err = m.build(ctx, p); err == nil {
			m.release, err = hold(dir)
		}
	}
	if err != nil {
		return err
	}
	m.keyFile = filepath.Join(dir, publicFile)
	if m.public, err = os.ReadFile(m.keyFile); err != nil {
		return err
	}
	secret, err := os.ReadFile(filepath.Join(dir, secretFile))
	if err != nil {
		return err
	}
	if m.key, err = pgp.Parse(secret); err != nil {
		return err
	}
	m.repositories = []string{"core", "extra"}
	return m.site.mount(filepath.Join(dir, wwwDir))
}

// loadSynthetic makes a key.
func (m *Mirror) loadSynthetic() error {
	dir, err := m.tempDir()
	if err != nil {
		return err
	}
	if m.key, err = m.newKey(); err != nil {
		return err
	}
	if m.public, err = m.key.Public(); err != nil {
		return err
	}
	m.keyFile = filepath.Join(dir, publicFile)
	return os.WriteFile(m.keyFile, m.public, 0o644)
}

// tempPrefix begins the names of mirrors' temporary directories.
const tempPrefix = "archtest-mirror-"

// tempDir is the mirror's directory for what is not in the cache, made when it is
// first asked for. Those of mirrors that were killed go then.
func (m *Mirror) tempDir() (dir string, err error) {
	if m.temp != nil {
		return m.temp.Path, nil
	}
	if err := tempdir.Sweep(tempPrefix, os.RemoveAll); err != nil {
		m.opts.Logger.Warn("archtest: remove what killed mirrors left", "error", err)
	}
	if m.temp, err = tempdir.Make(tempPrefix); err != nil {
		return "", err
	}
	return m.temp.Path, nil
}

// newKey makes the key of a synthetic mirror, and sets the time of its signatures.
func (m *Mirror) newKey() (*pgp.Key, error) {
	yesterday := time.Now().Add(-24 * time.Hour)
	if m.opts.ExpiredKey {
		m.signed = yesterday.Add(time.Minute)
		return pgp.New(keyName, yesterday, time.Hour)
	}
	return pgp.New(keyName, yesterday, 0)
}

// build makes sure that the mirror is in the cache and returns its directory.
func (m *Mirror) build(ctx context.Context, p *progress) (string, error) {
	waiting := func() {
		p.report(Event{Phase: "wait", Message: "another process builds this mirror: waiting for it"})
	}
	return cacheEntry(m.opts).ensure(ctx, waiting, func(dir string) error {
		if err := preflight(); err != nil {
			return err
		}
		if err := evict(m.opts.CacheDir, keepUnused, keepMost); err != nil { // makes room, if it can
			m.opts.Logger.Warn("archtest: remove old mirrors", "error", err)
		}
		return build(ctx, m.opts, dir, p)
	})
}

// addSynthetic makes the caller's packages.
func (m *Mirror) addSynthetic(ctx context.Context) error {
	if len(m.opts.Packages) == 0 && m.opts.Suite != Synthetic {
		return nil
	}
	name := m.opts.Repository
	dir, err := m.tempDir()
	if err != nil {
		return err
	}
	www := filepath.Join(dir, wwwDir)
	w := &repoWriter{key: m.key, now: m.signed, report: func(Event) {}, total: len(m.opts.Packages)}
	if _, err := w.write(ctx, www, name, m.opts.Packages); err != nil {
		return err
	}
	m.repositories = append(m.repositories, name)
	return m.site.mount(www)
}

// Listen serves the mirror at a further address, such as that of a bridge that
// came into being after the mirror. netns is as in [Options], and needs root. It returns
// the URL. On a mirror that was closed it is [ErrClosed].
func (m *Mirror) Listen(ctx context.Context, addr, netns string) (string, error) {
	l, err := listen(ctx, addr, netns)
	if err != nil {
		return "", wrap("listen", m.opts.Suite, err)
	}
	url, err := m.serve(l)
	return url, wrap("listen", m.opts.Suite, err)
}

func (m *Mirror) serve(l net.Listener) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return "", errors.Join(ErrClosed, l.Close())
	}
	m.serving.Go(func() {
		if err := m.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			m.opts.Logger.Error("archtest: serve", "error", err)
		}
	})
	return "http://" + l.Addr().String(), nil
}

// Close stops serving, breaks off the requests that are under way, waits until nothing
// answers them any more, and removes what the mirror kept besides the cache. Closing
// again does nothing.
func (m *Mirror) Close() error {
	m.mu.Lock()
	closed := m.closed
	m.closed = true
	m.mu.Unlock()
	if closed {
		return nil
	}
	var faults []error
	if m.server != nil {
		faults = append(faults, m.server.Close())
		m.serving.Wait()
	}
	faults = append(faults, m.site.close())
	if m.release != nil {
		m.release()
	}
	if m.temp != nil {
		faults = append(faults, m.temp.Remove())
	}
	return wrap("close", m.opts.Suite, errors.Join(faults...))
}

// PublicKey returns the armored OpenPGP key that everything is signed with.
func (m *Mirror) PublicKey() []byte { return m.public }

// PublicKeyFile is the path of a file with what [Mirror.PublicKey] returns. That of
// a synthetic mirror goes when the mirror is closed.
func (m *Mirror) PublicKeyFile() string { return m.keyFile }

// Fingerprint is the key's, in upper-case hexadecimal; that of an [Upstream] is what
// its Options say.
func (m *Mirror) Fingerprint() string {
	if m.opts.Upstream != nil {
		return m.opts.Upstream.Fingerprint
	}
	return m.key.Fingerprint()
}

// SigLevel is what can be required of the mirror's signatures, as in pacman.conf(5).
// Arch signs its packages, and not its databases.
func (m *Mirror) SigLevel() string {
	if m.opts.Upstream != nil {
		return "Required DatabaseOptional"
	}
	return "Required"
}

// Repositories names the repositories in the order that pacman.conf should have
// them.
func (m *Mirror) Repositories() []string { return append([]string(nil), m.repositories...) }

// Server is the value of a Server line in pacman.conf(5) or in a mirror list.
func (m *Mirror) Server() string { return m.URL + "/$repo/os/$arch" }

// PacmanConf returns the sections of pacman.conf(5) for the mirror's repositories,
// signatures required as [Mirror.SigLevel] says. It has no [options] section.
func (m *Mirror) PacmanConf() string {
	var b strings.Builder
	for _, name := range m.repositories {
		b.WriteString("[" + name + "]\nSigLevel = " + m.SigLevel() + "\nServer = " + m.Server() + "\n\n")
	}
	return b.String()
}
