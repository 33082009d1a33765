package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Names below the store's directory that are the store's own. Volume names cannot
// begin with a dot, so that they never collide.
const (
	stateDir  = ".rig"
	storeFile = "store.json"
	lockFile  = "lock"
)

// formatVersion is what this package writes and the newest that it reads. In format 1
// the base of a volume has no sequence number: see readBase.
const formatVersion = 2

// Options says how to open a store. The zero value chooses the driver, requires
// nothing of it and logs nothing.
type Options struct {
	// Driver insists on a driver. By default a store keeps the driver it was
	// made with, and a new one takes the best that works in its directory.
	Driver Driver
	// Require lists what the caller cannot do without: Open fails with
	// ErrNotSupported where the driver does not promise it.
	Require Capabilities
	// Existing refuses, with ErrNotFound, to make a store where there is none.
	Existing bool
	// Logger hears what was chosen, swept and left for later. Nil is silent.
	Logger *slog.Logger
}

// A Store is a directory of volumes and their snapshots.
//
// Its methods and those of its volumes may be called concurrently, also from
// several processes that opened the same directory: whatever changes the store
// waits for its turn until the context is done and then fails with [ErrLocked],
// whatever only looks does not wait.
type Store struct {
	dir    string
	driver Driver
	reason string
	log    *slog.Logger
	lock   *lock
}

// storeRecord is what store.json holds.
type storeRecord struct {
	Format int
	Driver string
}

// Open opens the store in dir, an existing directory, and makes it one first if it
// is none. It finishes or undoes whatever a killed process left half done, and
// makes all volumes usable again after a reboot. It needs root.
//
// Open fails with ErrNotFound when dir does not exist, ErrNotSupported when no
// driver works there, ErrFormat when a newer version of this package made the
// store, ErrReadOnly when a new one cannot be written, and ErrLocked when ctx is done
// before the store's lock is free.
func Open(ctx context.Context, dir string, opts Options) (*Store, error) {
	s, err := open(ctx, dir, opts)
	return s, wrap(Error{Op: "open", Path: dir}, err)
}

func open(ctx context.Context, dir string, opts Options) (_ *Store, err error) {
	s := &Store{log: opts.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.dir, err = realDir(dir); err != nil {
		return nil, err
	}
	if _, err := s.readStoreRecord(); err != nil && (opts.Existing || !errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	made := false
	for _, d := range []string{"", "journal", "volumes", "work"} {
		err := os.Mkdir(s.state(d), 0o700)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		made = made || err == nil && d == ""
	}
	if s.lock, err = openLock(s.state(lockFile)); err != nil {
		return nil, err
	}
	if err := s.begin(ctx, opts, made); err != nil {
		return nil, errors.Join(err, s.lock.close())
	}
	s.log.InfoContext(ctx, "store opened", "dir", s.dir, "driver", s.driver.Name(), "reason", s.reason)
	return s, nil
}

// realDir returns dir as an absolute path without symbolic links.
func realDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory: %w", dir, ErrInvalid)
	}
	return dir, err
}

func (s *Store) readStoreRecord() (rec storeRecord, err error) {
	if err := readRecord(s.state(storeFile), &rec); err != nil {
		return rec, err
	}
	switch {
	case rec.Format > formatVersion:
		return rec, fmt.Errorf("store has format %d, this program knows %d: %w", rec.Format, formatVersion, ErrFormat)
	case rec.Format < 1 || rec.Driver == "":
		return rec, fmt.Errorf("%s: %w", s.state(storeFile), ErrCorrupt)
	}
	return rec, nil
}

// begin makes a store of the directory that open prepared, or sweeps and settles the
// one that is there.
func (s *Store) begin(ctx context.Context, opts Options, made bool) (err error) {
	if err := s.lock.acquire(ctx, "open"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.lock.release()) }()
	rec, err := s.readStoreRecord()
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return err
	}
	if err := s.identify(ctx, opts, rec.Driver); err != nil {
		if fresh && made {
			err = errors.Join(err, os.RemoveAll(s.state()))
		}
		return err
	}
	if fresh {
		return s.writeStoreRecord(ctx)
	}
	if rec.Format < formatVersion {
		if err := s.upgrade(ctx); err != nil {
			return err
		}
	}
	if err := s.sweep(ctx); err != nil {
		return err
	}
	if err := s.sweepSnapshots(ctx); err != nil {
		return err
	}
	return s.settleVolumes(ctx)
}

func (s *Store) writeStoreRecord(ctx context.Context) error {
	return replaceRecord(ctx, s.state(storeFile), storeRecord{formatVersion, s.driver.Name()})
}

// upgrade makes older programs refuse the store, since what is written from now on they
// would misread. Where nothing can be written there is no hurry.
func (s *Store) upgrade(ctx context.Context) error {
	err := s.writeStoreRecord(ctx)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOSPC) {
		s.log.WarnContext(ctx, "store keeps its old format", "dir", s.dir, "err", err)
		return nil
	}
	return err
}

func (s *Store) sweepSnapshots(ctx context.Context) error {
	for v, err := range s.Volumes(ctx) {
		if err == nil {
			err = v.sweepItems(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// identify finds the driver: the one the store was made with, if it was made.
func (s *Store) identify(ctx context.Context, opts Options, name string) (err error) {
	candidates := builtin()
	if opts.Driver != nil {
		candidates = []Driver{opts.Driver}
	}
	if name != "" {
		candidates = slices.DeleteFunc(candidates, func(d Driver) bool { return d.Name() != name })
		if len(candidates) == 0 {
			return fmt.Errorf("the store was made with driver %s: %w", name, ErrNotSupported)
		}
	}
	scratch := s.state("work", "probe")
	if err = os.RemoveAll(scratch); err == nil { // which a process that died has left
		err = os.Mkdir(scratch, 0o700)
	}
	switch {
	case name != "" && (errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOSPC)):
		s.driver, s.reason = candidates[0], fmt.Sprintf("%s: the store was made with it; %v", name, err)
		return nil
	case err != nil:
		return err
	}
	s.driver, s.reason, err = choose(ctx, scratch, candidates, opts.Require)
	if err == nil && name != "" {
		s.reason = name + ": the store was made with it"
	}
	return errors.Join(err, os.RemoveAll(scratch))
}

// settleVolumes makes all volumes usable. One whose tree somebody removed has to wait
// for its restoration.
func (s *Store) settleVolumes(ctx context.Context) error {
	for v, err := range s.Volumes(ctx) {
		if err == nil {
			err = s.driver.Settle(ctx, v.Path())
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Close releases what the Store holds open. The volumes stay where they are.
func (s *Store) Close() error {
	err := s.lock.close()
	if c, ok := s.driver.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	return wrap(Error{Op: "close", Path: s.dir}, err)
}

// Dir is the store's directory, absolute and without symbolic links.
func (s *Store) Dir() string { return s.dir }

// Driver is the driver in use.
func (s *Store) Driver() Driver { return s.driver }

// Reason says in one line why the driver was chosen.
func (s *Store) Reason() string { return s.reason }

// state is a path of the store's own.
func (s *Store) state(elem ...string) string {
	return filepath.Join(append([]string{s.dir, stateDir}, elem...)...)
}

// Volume returns the volume of that name, or fails with ErrNotFound.
func (s *Store) Volume(name string) (*Volume, error) {
	v := &Volume{store: s, name: name}
	if err := v.exists(); err != nil {
		return nil, wrap(Error{Op: "find", Path: s.dir, Volume: name}, err)
	}
	return v, nil
}

// Volumes yields all volumes in the order of their names. It yields an error at
// most once, as the last element.
func (s *Store) Volumes(ctx context.Context) iter.Seq2[*Volume, error] {
	return func(yield func(*Volume, error) bool) {
		entries, err := os.ReadDir(s.state("volumes"))
		for _, e := range entries {
			if !yield(&Volume{store: s, name: e.Name()}, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, wrap(Error{Op: "list", Path: s.dir}, err))
		}
	}
}
