package rigtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/internal/syspkg"
	"github.com/prologin/rig/nspawn"
)

// Config says what a test's machines are like. The zero value is ready for use.
type Config struct {
	// Base is a directory with a root to clone machines from. Empty means a small Arch
	// Linux with an SSH server.
	Base string

	// Packages are those of the base, if it is not a directory. Nil means base and
	// openssh. AddOns are names of archtest that the mirror has to have for them.
	Packages, AddOns []string

	// CacheDir keeps base and mirror from one test to the next. Empty means $RIG_CACHE
	// or /var/cache/rig. Tests that share it share the base.
	CacheDir string
}

// Lab is the private network of one test. Its methods may be called concurrently. Where they
// fail the test, they end the goroutine that called them, as [testing.T.FailNow] does: make
// them in the test's own, unless the others are waited for.
type Lab struct {
	t   testing.TB
	lab *lab.Lab

	mu   sync.Mutex
	next netip.Addr
}

// prefix is the same for all labs, since each has a network namespace of its own.
var prefix = netip.MustParsePrefix("10.75.0.1/24")

// New returns the lab of a test, which goes when the test ends. It skips the test
// where machines cannot be booted, or with -short. It blocks while the base is made.
func New(t testing.TB) *Lab {
	t.Helper()
	return Config{}.New(t)
}

// New is the function New with another configuration.
func (c Config) New(t testing.TB) *Lab {
	t.Helper()
	if testing.Short() {
		t.Skip("rigtest: boots machines")
	}
	if os.Geteuid() != 0 {
		t.Skip("rigtest: not root: cannot boot machines")
	}
	netns, closeNetns, err := lab.Netns()
	if err != nil {
		t.Skipf("rigtest: no network namespace to be had: %v", err)
	}
	l := &Lab{t: t, next: prefix.Addr().Next()}
	t.Cleanup(func() { l.check("leave the network namespace", closeNetns()) })
	l.lab, err = lab.Open(t.Context(), c.lab(), c.options(netns))
	if why := unable(err); why != nil {
		t.Skipf("rigtest: this host cannot: %v", why)
	}
	if err != nil {
		t.Fatalf("rigtest: %v", err)
	}
	t.Cleanup(func() { l.check("close the lab", l.lab.Close(context.Background())) })
	l.check("sweep what killed tests left", l.sweep(t.Context()))
	return l
}

func (c Config) lab() lab.Config {
	packages := c.Packages
	if packages == nil {
		packages = []string{"base", "openssh"}
	}
	return lab.Config{
		Zone: "rigtest", Prefix: prefix, Isolated: true, AddOns: c.AddOns,
		Base: archboot.Config{Packages: packages},
	}
}

func (c Config) options(netns string) lab.Options {
	dir := cmp.Or(c.CacheDir, os.Getenv("RIG_CACHE"), "/var/cache/rig")
	state := filepath.Join(dir, "rigtest")
	return lab.Options{
		State: state, Store: filepath.Join(state, "machines"), RunDir: filepath.Join(state, "run"), Cache: dir, Base: c.Base,
		Launcher: string(nspawn.LauncherDirect), Network: "bridge",
		Netns: netns, Shared: true, NoInstall: true,
	}
}

// unable returns the part of an error that says that the host lacks something.
func unable(err error) error {
	var missing *syspkg.MissingError
	for _, cause := range []error{nspawn.ErrNotSupported, archtest.ErrMissingProgram, archboot.ErrMissingProgram, fs.ErrPermission} {
		if errors.Is(err, cause) {
			return err
		}
	}
	if errors.As(err, &missing) {
		return err
	}
	return nil
}

// check fails the test for an error, and goes on.
func (l *Lab) check(what string, err error) {
	l.t.Helper()
	if err != nil {
		l.t.Errorf("rigtest: %s: %v", what, err)
	}
}

// Machine is a machine of a test.
type Machine struct {
	*nspawn.Machine

	// Address is its own on the lab's network.
	Address netip.Addr

	t testing.TB
}

// Machine boots a clone of the base that calls itself by the given name, and returns
// it when its start-up is complete. It fails the test if that does not come about.
func (l *Lab) Machine(name string) *Machine {
	l.t.Helper()
	l.mu.Lock()
	address := l.next
	l.next = l.next.Next()
	l.mu.Unlock()
	unique, err := machineName(name)
	if err != nil {
		l.t.Fatalf("rigtest: machine %s: %v", name, err)
	}
	config := lab.Machine{
		Name:   unique,
		Config: nspawn.Config{Hostname: name, SuppressSync: true},
	}
	l.t.Cleanup(func() { l.check("remove "+name, l.lab.Discard(context.Background(), config.Name)) })
	booted, err := l.lab.Boot(l.t.Context(), config, map[string]string{
		// It sorts before 80-container-host0.network, which would win otherwise.
		"/etc/systemd/network/10-rigtest.network": fmt.Sprintf(network, address, prefix.Bits(), prefix.Addr()),
	})
	if err != nil {
		l.t.Fatalf("rigtest: machine %s: %v", name, err)
	}
	m := &Machine{Machine: booted, Address: address, t: l.t}
	l.t.Cleanup(func() {
		if l.t.Failed() {
			m.logJournal(name)
		}
	})
	return m
}

const network = `[Match]
Name=host0

[Network]
Address=%v/%d
Gateway=%v
`

// Run runs a command in the machine and returns what it printed to its standard
// output. It fails the test if the command does not succeed, with all that it printed.
func (m *Machine) Run(name string, args ...string) string {
	m.t.Helper()
	cmd := m.Command(m.t.Context(), name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("%s: %v: %v\n%s%s", m.Config().Hostname, cmd, err, out, stderr.String())
	}
	return string(out)
}

// journalLines is how much of a journal goes into the log of a failed test.
const journalLines = 60

func (m *Machine) logJournal(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var b strings.Builder
	for entry, err := range m.Journal(ctx, nspawn.JournalOptions{Lines: journalLines}) {
		if err != nil {
			fmt.Fprintf(&b, "  … %v\n", err)
			break
		}
		fmt.Fprintf(&b, "  %s: %s\n", entry.Identifier, entry.Message)
	}
	m.t.Logf("the journal of %s, its last %d lines:\n%s", name, journalLines, b.String())
}
