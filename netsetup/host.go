package netsetup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Options say which host, and where to keep notes. The zero value is the
// caller's own network namespace.
type Options struct {
	// Netns is a file that stands for a network namespace: /run/netns/NAME,
	// /proc/PID/ns/net, or /proc/self/fd/N for an open descriptor. Empty is
	// the namespace of the caller's thread.
	Netns string

	// StateDir is where the journals and locks are kept: on this machine, and
	// the same for all programs that share networks. Empty is
	// /run/rig/netsetup.
	StateDir string

	// Nftables has rules be in tables of nftables' own, one for each network and
	// family, made in one transaction and without iptables, instead of in chains
	// of iptables. Where another program drops what is forwarded, such as Docker
	// or ufw, that is not enough, and ErrNotSupported. It is to be the same for
	// all programs that share a network.
	Nftables bool

	// Logger hears of every change as it is made; nil is silent.
	Logger *slog.Logger
}

// defaultStateDir is lost with the next boot, as is all that it tells of.
const defaultStateDir = "/run/rig/netsetup"

// Host is a network namespace and the networks made in it. Its methods may be
// called concurrently; they wait for one another, and for other programs that
// change networks of the same namespace.
type Host struct {
	log    *slog.Logger
	dir    string // journals of this namespace
	thread *thread
	kernel *kernel

	close sync.Once
	// Used on the thread only:
	held    map[string]*journal // networks applied here
	pending map[string]*deadMan // those that are not confirmed yet

	firewall *firewallWatch // nil until a bridge is in a zone of firewalld's
}

// Open enters a network namespace. It needs CAP_SYS_ADMIN if that is not the
// caller's own, and changes nothing.
func Open(opts Options) (*Host, error) {
	t, err := startThread(opts.Netns)
	if err != nil {
		return nil, fail("open", "", err)
	}
	h := &Host{log: opts.Logger, thread: t, held: make(map[string]*journal), pending: make(map[string]*deadMan)}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if err := h.do(context.Background(), "open", "", func() error { return h.prepare(opts) }); err != nil {
		t.stop()
		return nil, err
	}
	return h, nil
}

func (h *Host) prepare(opts Options) (err error) {
	stateDir := opts.StateDir
	if stateDir == "" {
		stateDir = defaultStateDir
	}
	cookie, err := netnsCookie()
	if err != nil {
		return err
	}
	h.dir = filepath.Join(stateDir, fmt.Sprintf("netns-%d", cookie))
	if h.kernel, err = newKernel(); err == nil {
		h.kernel.nftables = opts.Nftables
	}
	return err
}

// Close leaves the namespace. Networks stay as they are; those without
// Network.Keep are now Sweep's, unless another program has applied them, too. A
// bridged uplink that was not confirmed is put back.
func (h *Host) Close() error {
	var err error
	h.close.Do(func() {
		err = h.putAllBack()
		if h.firewall != nil {
			h.firewall.stop()
		}
		h.thread.stop()
		h.kernel.close()
		for _, j := range h.held {
			unlock(j.file)
		}
	})
	return err
}

// do runs f on the thread of the namespace.
func (h *Host) do(ctx context.Context, op, network string, f func() error) error {
	if err := ctx.Err(); err != nil {
		return fail(op, network, err)
	}
	return fail(op, network, h.thread.do(ctx, f))
}

// change runs f while no other program changes anything in the namespace.
func (h *Host) change(ctx context.Context, op, network string, f func() error) error {
	return h.do(ctx, op, network, func() error {
		lock, err := lockFile(ctx, filepath.Join(h.dir, "lock"))
		if err != nil {
			return err
		}
		defer unlock(lock)
		defer h.tidy(lock)
		return f()
	})
}

// tidy deletes the lock file and the directory when no network is left. A directory
// stays, and that is no fault, as long as somebody has a file in it.
func (h *Host) tidy(lock *os.File) {
	names, err := h.recorded()
	if err != nil || len(names) > 0 {
		return
	}
	_ = os.Remove(lock.Name())
	_ = os.Remove(h.dir)
	if filepath.Dir(h.dir) == defaultStateDir {
		_ = os.Remove(defaultStateDir)
		_ = os.Remove(filepath.Dir(defaultStateDir))
	}
}

func (h *Host) journalPath(bridge string) string {
	return filepath.Join(h.dir, bridge+journalSuffix)
}

// recorded lists the bridges that have a journal.
func (h *Host) recorded() ([]string, error) {
	files, err := fs.Glob(os.DirFS(h.dir), "*"+journalSuffix)
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, journalSuffix)
	}
	return files, err
}

// journal opens a network's journal and shares its lock; the caller holds the
// lock of the directory.
func (h *Host) journal(bridge string, create bool) (*journal, error) {
	if j := h.held[bridge]; j != nil {
		_, err := os.Stat(j.path)
		if err == nil {
			return j, j.reopen()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		// Somebody deleted it without asking.
		unlock(j.file)
		delete(h.held, bridge)
	}
	j, err := openJournal(h.journalPath(bridge), create)
	if err != nil {
		return nil, err
	}
	if err := flock(j.file, unix.LOCK_SH); err != nil {
		unlock(j.file)
		return nil, err
	}
	h.held[bridge] = j
	return j, nil
}

// release closes a journal, and lets go of the network with it.
func (h *Host) release(bridge string) {
	if j := h.held[bridge]; j != nil {
		unlock(j.file)
		delete(h.held, bridge)
	}
}

// others reads what networks other than one have recorded.
func (h *Host) others(bridge string) (map[string]Object, error) {
	names, err := h.recorded()
	if err != nil {
		return nil, err
	}
	objects := make(map[string]Object)
	for _, name := range names {
		if name == bridge {
			continue
		}
		j, err := readJournal(h.journalPath(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, o := range j.objects() {
			objects[o.String()] = o
		}
	}
	return objects, nil
}
