package archtest

import (
	"bytes"
	"net/http"
	"path"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// Fault is a way to misbehave: it wraps what answers a request. The functions of
// this package that return one cover what mirrors are known to do; any other
// middleware serves as well. It wraps anew for each request, maybe for several at once.
type Fault func(next http.Handler) http.Handler

// Inject makes the mirror misbehave in answering requests whose path matches the
// pattern, until the returned function is called. The pattern is as of [path.Match]:
// "*.pkg.tar.zst" matches the last element of a path, "/core/os/*/core.db" all of
// it. Several faults apply one over the other, the newest outermost. Requests under
// way are not affected.
//
// An ill-formed pattern matches nothing.
func (m *Mirror) Inject(pattern string, f Fault) (remove func()) {
	injected := &injection{pattern: pattern, fault: f}
	m.site.mu.Lock()
	defer m.site.mu.Unlock()
	m.site.faults = append(m.site.faults, injected)
	return func() {
		m.site.mu.Lock()
		defer m.site.mu.Unlock()
		m.site.faults = slices.DeleteFunc(m.site.faults, func(i *injection) bool { return i == injected })
	}
}

type injection struct {
	pattern string
	fault   Fault
}

func (i *injection) matches(name string) bool {
	if i.pattern != "" && i.pattern[0] != '/' {
		name = path.Base(name)
	}
	ok, err := path.Match(i.pattern, name)
	return ok && err == nil
}

// faulty wraps the site's own handler in the faults that apply to a path.
func (s *site) faulty(name string) http.Handler {
	s.mu.Lock()
	faults := slices.Clone(s.faults)
	s.mu.Unlock() // a fault may ask the mirror something
	var h http.Handler = http.HandlerFunc(s.serveFile)
	for _, i := range faults {
		if i.matches(name) {
			h = i.fault(h)
		}
	}
	return h
}

// Times applies a fault to the first n requests only.
func Times(n int, f Fault) Fault {
	var asked atomic.Int64
	return func(next http.Handler) http.Handler {
		bad := f(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) <= int64(n) {
				bad.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Status answers with an HTTP status and no file, such as 404 or 503.
func Status(code int) Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, http.StatusText(code), code)
		})
	}
}

// Delay waits before it answers, or until the client gives up.
func Delay(d time.Duration) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if pause(r, d) {
				next.ServeHTTP(w, r)
			}
		})
	}
}

// Throttle sends a body at a rate of bytes per second, at least one.
func Throttle(rate int) Fault {
	rate = max(1, rate)
	const perSecond = 20
	piece := max(1, rate/perSecond)
	interval := time.Duration(piece) * time.Second / time.Duration(rate)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := record(next, r)
			body.sendHeader(w, len(body.data))
			control := http.NewResponseController(w)
			for chunk := range slices.Chunk(body.data, piece) {
				if _, err := w.Write(chunk); err != nil {
					return
				}
				control.Flush()
				if !pause(r, interval) {
					return
				}
			}
		})
	}
}

// Truncate announces the whole file and breaks the connection after n bytes.
func Truncate(n int) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := record(next, r)
			body.sendHeader(w, len(body.data))
			w.Write(body.data[:min(n, len(body.data))])
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
	}
}

// Cut sends the first n bytes as if they were the whole file.
func Cut(n int) Fault {
	return Rewrite(func(data []byte) []byte { return data[:min(n, len(data))] })
}

// FlipByte inverts one byte of the file, counted from its end if negative.
func FlipByte(offset int) Fault {
	return Rewrite(func(data []byte) []byte {
		i := offset
		if i < 0 {
			i += len(data)
		}
		if i >= 0 && i < len(data) {
			data[i] ^= 0xff
		}
		return data
	})
}

// Content sends the given bytes instead of the file, also where there is none.
func Content(data []byte) Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		})
	}
}

// Redirect sends the client to another URL, which may be its own: then it loops.
func Redirect(url string) Fault {
	return func(http.Handler) http.Handler { return http.RedirectHandler(url, http.StatusFound) }
}

// Rewrite sends what edit makes of the file. Answers other than a whole file are
// passed on as they are.
func Rewrite(edit func(data []byte) []byte) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := record(next, r)
			if body.status == http.StatusOK {
				body.data = edit(body.data)
			}
			body.sendHeader(w, len(body.data))
			if r.Method != http.MethodHead {
				w.Write(body.data)
			}
		})
	}
}

// recorded is an answer that was not sent yet.
type recorded struct {
	header http.Header
	status int
	data   []byte
}

// record asks a handler for the whole file, even if the client wants a part.
func record(h http.Handler, r *http.Request) *recorded {
	r = r.Clone(r.Context())
	r.Method = http.MethodGet
	for _, name := range []string{"Range", "If-Range", "If-Modified-Since", "If-None-Match"} {
		r.Header.Del(name)
	}
	body := &recorded{header: http.Header{}, status: http.StatusOK}
	h.ServeHTTP(body, r)
	return body
}

func (b *recorded) Header() http.Header    { return b.header }
func (b *recorded) WriteHeader(status int) { b.status = status }

func (b *recorded) Write(p []byte) (int, error) {
	b.data = append(b.data, p...)
	return len(p), nil
}

// sendHeader sends the recorded header with the length that it is to announce.
func (b *recorded) sendHeader(w http.ResponseWriter, length int) {
	for name, values := range b.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(length))
	w.Header().Del("Accept-Ranges")
	w.WriteHeader(b.status)
}

// pause waits, and reports whether the client is still there.
func pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
