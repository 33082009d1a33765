package archtest

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/prologin/rig/archboot/archtest/alpm"
	"github.com/prologin/rig/archboot/archtest/internal/pgp"
	"golang.org/x/sync/errgroup"
)

// arch is the one architecture that mirrors have.
const arch = "x86_64"

// repoWriter writes signed repositories into directories.
type repoWriter struct {
	key    *pgp.Key
	now    time.Time // of the signatures
	report func(Event)
	total  int // packages of all repositories

	mu   sync.Mutex
	done int
}

// write makes packages, their signatures and the databases of one repository below
// the directory that is served.
func (w *repoWriter) write(ctx context.Context, www, name string, packages []alpm.Package) ([]alpm.Entry, error) {
	dir := filepath.Join(www, name, "os", arch)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	entries := make([]alpm.Entry, len(packages))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range packages {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			var err error
			entries[i], err = w.writePackage(dir, p)
			w.finished(p)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for suffix, write := range databases {
		var b bytes.Buffer
		if err := write(&b, entries); err != nil {
			return nil, err
		}
		if err := w.writeSigned(filepath.Join(dir, name+suffix), b.Bytes()); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// databases are the files that list a repository's packages, by what follows the
// repository's name.
var databases = map[string]func(io.Writer, []alpm.Entry) error{
	".db":    alpm.WriteDatabase,
	".files": alpm.WriteFilesDatabase,
}

func (w *repoWriter) writePackage(dir string, p alpm.Package) (alpm.Entry, error) {
	file, err := os.Create(filepath.Join(dir, p.FileName()))
	if err != nil {
		return alpm.Entry{}, err
	}
	defer file.Close()
	entry, err := alpm.Write(file, p)
	if err != nil {
		return entry, err
	}
	if err := file.Close(); err != nil {
		return entry, err
	}
	return entry, w.signFile(file.Name())
}

// signFile writes the detached signature of a file beside it.
func (w *repoWriter) signFile(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	sig, err := w.key.Sign(file, w.now)
	if err != nil {
		return err
	}
	return os.WriteFile(name+".sig", sig, 0o644)
}

func (w *repoWriter) writeSigned(file string, data []byte) error {
	sig, err := w.key.Sign(bytes.NewReader(data), w.now)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".sig", sig, 0o644); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// finished counts a package for the progress display.
func (w *repoWriter) finished(p alpm.Package) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done++
	w.report(Event{Phase: "packages", Message: "packed " + p.Name + " " + p.Version, Done: w.done, Total: w.total})
}
