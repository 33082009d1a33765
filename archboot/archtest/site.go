package archtest

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

// site answers the requests.
type site struct {
	logger   *slog.Logger
	upstream http.Handler // answers instead of the files, may be nil

	mu       sync.Mutex
	roots    []*os.Root
	requests []Request
	faults   []*injection // oldest first
}

// Request is one line of the mirror's log.
type Request struct {
	Time   time.Time
	Method string
	Path   string // as asked for
	Range  string // the Range header, of a download that goes on
	Status int
	Bytes  int64 // of the body that was sent
	Remote string
}

func newSite(logger *slog.Logger) *site { return &site{logger: logger} }

// mount adds a directory to serve. The one that was mounted first and has the
// file wins.
func (s *site) mount(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	s.roots = append(s.roots, root)
	return nil
}

func (s *site) close() error {
	var faults []error
	for _, root := range s.roots {
		faults = append(faults, root.Close())
	}
	return errors.Join(faults...)
}

// Forms of dated URLs, in the archive and of installation media: this mirror has
// the same at any date.
var (
	datedRepo  = regexp.MustCompile(`^/repos/(\d{4}/\d{2}/\d{2}|last|week|month)/`)
	datedMedia = regexp.MustCompile(`^/iso/\d{4}\.\d{2}\.\d{2}/`)
	datedFile  = regexp.MustCompile(`^(/iso/latest/archlinux-bootstrap-)\d{4}\.\d{2}\.\d{2}-`)
)

func undated(name string) string {
	name = datedRepo.ReplaceAllString(name, "/")
	name = datedMedia.ReplaceAllString(name, "/iso/latest/")
	return datedFile.ReplaceAllString(name, "$1")
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	counted := &responseCounter{ResponseWriter: w, status: http.StatusOK}
	defer func() { // also when a fault breaks the connection by a panic
		s.log(Request{
			Time: time.Now(), Method: r.Method, Path: r.URL.Path, Range: r.Header.Get("Range"),
			Status: counted.status, Bytes: counted.n, Remote: r.RemoteAddr,
		})
	}()
	s.faulty(r.URL.Path).ServeHTTP(counted, r)
}

func (s *site) log(r Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	s.logger.Debug("archtest: request", "method", r.Method, "path", r.Path, "status", r.Status, "bytes", r.Bytes)
}

func (s *site) serveFile(w http.ResponseWriter, r *http.Request) {
	if s.upstream != nil {
		s.upstream.ServeHTTP(w, r)
		return
	}
	name := path.Clean(undated(path.Clean("/" + r.URL.Path)))
	for _, root := range s.roots {
		file, err := root.Open(strings.TrimPrefix(name, "/"))
		if err != nil {
			continue
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, name, info.ModTime(), file)
		return
	}
	http.NotFound(w, r)
}

// responseCounter notes what a handler sends.
type responseCounter struct {
	http.ResponseWriter
	status int
	n      int64
}

func (c *responseCounter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *responseCounter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (c *responseCounter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Requests returns what was asked of the mirror so far, in the order in which the
// answers ended.
func (m *Mirror) Requests() []Request {
	m.site.mu.Lock()
	defer m.site.mu.Unlock()
	return append([]Request(nil), m.site.requests...)
}
