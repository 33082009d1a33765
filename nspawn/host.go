package nspawn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// DefaultStateDir is where machines are recorded unless HostOptions say
// otherwise. It does not survive a reboot of the host, and neither do machines.
const DefaultStateDir = "/run/rig/nspawn"

// HostOptions choose how a Host works. The zero value is ready for use.
type HostOptions struct {
	// StateDir holds the records and console logs of machines; empty means
	// DefaultStateDir. Programs that share it see each other's machines.
	StateDir string
	// Launcher chooses how machines are started; empty is LauncherAuto.
	Launcher Launcher
	// Netns is the path of the network namespace in which machines are
	// started, where bridges and host ends of veth pairs are found; empty
	// means that of the calling program.
	Netns string
	// StopOnClose makes Close stop this Host's machines; otherwise they go on
	// and are found again by the next program.
	StopOnClose bool
	// Events is called with what happens to this Host's machines, with one event
	// at a time. It must not block or call the Host; nil is nobody.
	Events func(Event)
	// Logger is told what happens; nil is silence.
	Logger *slog.Logger
}

// Host starts machines and finds those that are there. It may be used by
// several goroutines at once.
type Host struct {
	options  HostOptions
	dir      string // of the machines' state directories
	mount    string // of the unified cgroup hierarchy
	cgroup   cgroup // above the machines' own
	nspawn   program
	launcher Launcher
	starters map[Launcher]starter
	log      *slog.Logger
	null     *os.File
	spare    chan func() // takes a job where a thread waits for one
	closing  context.Context
	shutdown context.CancelFunc

	telling sync.Mutex // held while Events is called

	mu       sync.Mutex
	closed   bool
	machines map[string]*Machine
}

// Open prepares a host: it finds systemd-nspawn and the cgroup hierarchy and
// makes the state directory. It needs root and starts nothing. Close the Host
// in the end.
//
// Descriptors that the program inherited are marked close-on-exec, as Go marks
// its own: a machine that was handed a directory of the host could leave by it.
func Open(ctx context.Context, options HostOptions) (*Host, error) {
	if options.StateDir == "" {
		options.StateDir = DefaultStateDir
	}
	if os.Geteuid() != 0 {
		return nil, &Error{Op: "open host", Err: fs.ErrPermission, Hint: "systemd-nspawn needs root; try sudo"}
	}
	h, err := open(ctx, options)
	if err != nil {
		return nil, fail("open host", "", err)
	}
	return h, nil
}

func open(ctx context.Context, options HostOptions) (*Host, error) {
	stateDir, err := filepath.Abs(options.StateDir)
	if err != nil {
		return nil, err
	}
	options.StateDir = stateDir
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return nil, fmt.Errorf("close_range: %w", err)
	}
	nspawn, err := findNspawn(ctx)
	if err != nil {
		return nil, err
	}
	mount, err := unifiedMount()
	if err != nil {
		return nil, err
	}
	h := &Host{
		options: options, dir: filepath.Join(stateDir, "machines"), mount: mount, nspawn: nspawn,
		log: options.Logger, machines: map[string]*Machine{}, spare: make(chan func()),
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if err := h.chooseLauncher(ctx, options.Launcher); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return nil, err
	}
	if h.cgroup, err = h.cgroupOf(mount); err != nil {
		return nil, err
	}
	if h.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	h.closing, h.shutdown = context.WithCancel(context.WithoutCancel(ctx))
	h.keepSpare()
	return h, nil
}

// cgroupOf is the control group of this Host's machines. Hosts with different records
// may have machines of the same name, and in different mount namespaces records may
// differ that have the same path.
func (h *Host) cgroupOf(mount string) (cgroup, error) {
	var st unix.Stat_t
	if err := unix.Stat(h.options.StateDir, &st); err != nil {
		return "", fmt.Errorf("stat %s: %w", h.options.StateDir, err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", h.options.StateDir, st.Dev, st.Ino))
	return cgroup(mount).child("rig").child(hex.EncodeToString(sum[:4])), nil
}

// Close ends the supervision of this Host's machines, which it stops first if
// HostOptions.StopOnClose asks for it. Machines left running are without a
// supervisor until another Host finds them: one that reboots meanwhile stays off.
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	machines := make([]*Machine, 0, len(h.machines))
	for _, m := range h.machines {
		machines = append(machines, m)
	}
	h.mu.Unlock()

	errs := make([]error, len(machines))
	if h.options.StopOnClose {
		var stops sync.WaitGroup
		for i, m := range machines {
			stops.Go(func() { errs[i] = m.Stop(context.Background()) })
		}
		stops.Wait()
	}
	h.shutdown()
	for _, m := range machines {
		<-m.unwatched
	}
	h.removeEmpty()
	return errors.Join(append(errs, h.null.Close())...)
}

// removeEmpty takes away the directories that hold no machine any more.
func (h *Host) removeEmpty() {
	for _, dir := range []string{h.dir, h.options.StateDir} {
		if os.Remove(dir) != nil {
			break
		}
	}
}

// Start starts a machine and returns once its first process exists; WaitReady
// waits for the end of its start-up. When the context ends before that, or
// anything fails, nothing of the machine is left. The machine then lives on
// whatever becomes of the context.
//
// The error matches ErrInvalid for a configuration that cannot work, ErrExists
// for a name that is taken, ErrBusy for a root that another machine uses,
// ErrNotSupported for what this host cannot do, and ErrClosed when the Host is
// closed meanwhile.
func (h *Host) Start(ctx context.Context, config Config) (*Machine, error) {
	err := h.Check(config)
	if config.Console == ConsoleInteractive {
		err = errors.Join(err, &Fault{Field: "Console", Problem: "there is no terminal to connect; start it by hand, or use Shell"})
	}
	if err != nil {
		return nil, fail("start", config.Name, err)
	}
	m, err := h.reserve(ctx, config)
	if err != nil {
		return nil, fail("start", config.Name, err)
	}
	if err := m.start(ctx); err != nil {
		return nil, fail("start", config.Name, err)
	}
	return m, nil
}

// Find returns a machine that runs, started by this program or by another that
// uses the same state directory; one that is being started is waited for. A machine
// whose program has died is adopted:
// from then on this Host supervises it. One whose program lives is followed, and
// taken over at its next end or reboot if that program is gone by then. What a dead
// machine left is swept, and the error matches ErrNotFound.
func (h *Host) Find(ctx context.Context, name string) (*Machine, error) {
	m, err := h.listed(name)
	if m == nil && err == nil {
		m, err = h.adopt(ctx, name)
	}
	if err == nil {
		err = m.awaitStart(ctx)
	}
	if err != nil {
		return nil, fail("find", name, err)
	}
	return m, nil
}

// Machines yields every machine that runs, as Find returns it, in the order of
// names.
func (h *Host) Machines(ctx context.Context) iter.Seq2[*Machine, error] {
	return func(yield func(*Machine, error) bool) {
		names, err := h.names()
		if err != nil {
			yield(nil, fail("list machines", "", err))
			return
		}
		for _, name := range names {
			m, err := h.Find(ctx, name)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// Sweep removes what machines left that are no more: control groups with their
// processes, records, sockets, locks. It returns their names. Running machines
// are untouched, also those whose program has died: Find them.
func (h *Host) Sweep(ctx context.Context) (swept []string, err error) {
	names, err := h.names()
	if err != nil {
		return nil, fail("sweep", "", err)
	}
	var errs []error
	for _, name := range names {
		switch _, err := h.Find(ctx, name); {
		case errors.Is(err, ErrNotFound):
			swept = append(swept, name)
		case err != nil:
			errs = append(errs, err)
		}
	}
	return swept, errors.Join(errs...)
}

// names lists the machines that have a state directory.
func (h *Host) names() (names []string, err error) {
	entries, err := os.ReadDir(h.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names, err
}
