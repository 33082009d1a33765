package archboot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience is for how long a server may send nothing. pacman waits ten seconds and
// wants a byte in each.
const patience = 30 * time.Second

// tellEvery is after how many bytes of a long download an event tells how far it is.
const tellEvery = 8 << 20

// fetch opens a file or downloads a URL into a file without a name.
func fetch(ctx context.Context, location string, emit func(Event)) (*os.File, error) {
	if !isURL(location) {
		return os.Open(location)
	}
	body, err := get(ctx, http.DefaultClient, location)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	f, err := os.CreateTemp("", "archboot-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := io.Copy(f, &told{download: body, emit: emit}); err != nil {
		f.Close()
		return nil, downloadError(ctx, location, err)
	}
	return f, nil
}

// readSmall reads a file or a URL, and no more of it than limit.
func readSmall(ctx context.Context, location string, limit int64) ([]byte, error) {
	r, err := open(ctx, location)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return nil, downloadError(ctx, location, err)
	}
	return data, nil
}

// open reads from a file or from an http, https or file URL.
func open(ctx context.Context, location string) (io.ReadCloser, error) {
	if isURL(location) {
		d, err := get(ctx, http.DefaultClient, location)
		if err != nil {
			return nil, err
		}
		return d, nil
	}
	if strings.HasPrefix(location, "file:") {
		u, err := url.Parse(location)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		location = u.Path
	}
	return os.Open(location)
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// A download is the body of an answer. To read it fails when nothing comes for long.
type download struct {
	location string
	resp     *http.Response
	timer    *time.Timer // runs while something is awaited, and ends the context
	ctx      context.Context
	end      context.CancelCauseFunc
}

// errStalled is the cause of such an end.
var errStalled = fmt.Errorf("the server sent nothing for %v", patience)

func get(ctx context.Context, client *http.Client, location string) (*download, error) {
	d := &download{location: location}
	caller := ctx
	d.ctx, d.end = context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(d.ctx, http.MethodGet, location, nil)
	if err != nil {
		d.end(nil)
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	d.timer = time.AfterFunc(patience, func() { d.end(errStalled) })
	d.resp, err = client.Do(req)
	d.timer.Stop()
	if err != nil {
		err = downloadError(caller, location, d.cause(err))
		d.end(nil)
		return nil, err
	}
	if d.resp.StatusCode != http.StatusOK {
		d.Close()
		return nil, fmt.Errorf("%w: %s: %s", ErrMirror, location, d.resp.Status)
	}
	return d, nil
}

func (d *download) Read(p []byte) (int, error) {
	d.timer.Reset(patience)
	n, err := d.resp.Body.Read(p)
	d.timer.Stop()
	return n, d.cause(err)
}

func (d *download) Close() error {
	d.end(nil)
	return d.resp.Body.Close()
}

// cause tells a server that stalls from a caller who gave up.
func (d *download) cause(err error) error {
	if err != nil && err != io.EOF && context.Cause(d.ctx) == errStalled {
		return fmt.Errorf("%s: %w", d.location, errStalled)
	}
	return err
}

// told is a download that tells how far it is.
type told struct {
	*download
	emit     func(Event)
	have     int64
	lastTold int64
}

func (t *told) Read(p []byte) (int, error) {
	n, err := t.download.Read(p)
	t.have += int64(n)
	if t.have-t.lastTold >= tellEvery {
		t.lastTold = t.have
		text := fmt.Sprintf("%s: %d", path.Base(t.location), t.have>>20)
		if size := t.resp.ContentLength; size > 0 {
			text += fmt.Sprintf(" of %d", size>>20)
		}
		t.emit(Event{Kind: EventDownload, Text: text + " MiB"})
	}
	return n, err
}

// downloadError tells a server that went away from a truncated file, from a full disk
// and from a caller who gave up.
func downloadError(ctx context.Context, location string, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %s is shorter than the server said", ErrCorrupt, location)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w: for %s in %s: %w", ErrNoSpace, location, os.TempDir(), err)
	}
	return fmt.Errorf("%w: %w", ErrMirror, err)
}
