package netsetup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coreos/go-iptables/iptables"
	"github.com/google/nftables"
)

// backend is which of two programs iptables is. Each keeps rules of its own in
// the kernel, does not see the other's, and packets have to pass both.
type backend string

const (
	nftBackend    backend = "nft"
	legacyBackend backend = "legacy"
)

func (b backend) other() backend {
	if b == nftBackend {
		return legacyBackend
	}
	return nftBackend
}

// BackendError says that there are rules of the other backend of iptables than
// the iptables of this host is. Rules of ours beside them would be in force and
// might not be enough. It is ErrNotSupported.
type BackendError struct {
	Program string   // "iptables" or "ip6tables"
	Is      string   // "nft" or "legacy"
	Other   string   // the other one
	Tables  []string // where that has rules or policies
}

// Error says what is in the way, and what to do about it.
func (e *BackendError) Error() string {
	return fmt.Sprintf("%s is %s-%s here, but %s-%s has rules in the tables %s: choose that one (update-alternatives --set %s /usr/sbin/%s-%s), or delete its rules",
		e.Program, e.Program, e.Is, e.Program, e.Other, strings.Join(e.Tables, ", "), e.Program, e.Program, e.Other)
}

// Unwrap returns ErrNotSupported.
func (e *BackendError) Unwrap() error { return ErrNotSupported }

// backend finds out which backend the iptables of a family is: as a rule by the
// program that its link leads to, and else by asking.
func (k *kernel) backend(f family) (backend, error) {
	if b, ok := k.backends[f]; ok {
		return b, nil
	}
	b, err := askBackend(f)
	if err == nil {
		if k.backends == nil {
			k.backends = make(map[family]backend)
		}
		k.backends[f] = b
	}
	return b, err
}

func askBackend(f family) (backend, error) {
	path, err := exec.LookPath(f.command())
	if err != nil {
		return "", &MissingError{Program: f.command(), Debian: "iptables", Arch: "iptables"}
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	switch filepath.Base(real) {
	case "xtables-nft-multi":
		return nftBackend, nil
	case "xtables-legacy-multi":
		return legacyBackend, nil
	}
	said, err := exec.Command(path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", path, err)
	}
	if strings.Contains(string(said), "nf_tables") {
		return nftBackend, nil
	}
	return legacyBackend, nil
}

// otherRules lists the tables in which the other backend has rules or policies.
func (v *view) otherRules(f family) (backend, []string, error) {
	b, err := v.k.backend(f)
	if err != nil {
		return "", nil, err
	}
	if b == nftBackend {
		tables, err := legacyTables(f)
		return b, tables, err
	}
	tables, err := v.compatRules(f)
	return b, tables, err
}

// oneBackend refuses rules of the other backend.
func (v *view) oneBackend(f family) error {
	b, tables, err := v.otherRules(f)
	if err != nil || len(tables) == 0 {
		return err
	}
	return &BackendError{Program: f.command(), Is: string(b), Other: string(b.other()), Tables: tables}
}

// compatRules lists iptables' tables in nftables that are not empty.
func (v *view) compatRules(f family) ([]string, error) {
	n, err := v.native()
	if err != nil {
		return nil, err
	}
	var tables []string
	for _, c := range n.chains {
		if !compat(c.Table) || (c.Table.Family == nftables.TableFamilyIPv6) != (f == ipv6) || slices.Contains(tables, c.Table.Name) {
			continue
		}
		rules, err := n.of(c)
		if err != nil {
			return nil, err
		}
		if len(rules) > 0 || c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			tables = append(tables, c.Table.Name)
		}
	}
	return tables, nil
}

// besides returns a view of the rules of the other backend; nil, if it has none
// or no program to read them with, which is then said.
func (v *view) besides(f family) (*view, string, error) {
	b, tables, err := v.otherRules(f)
	if errors.Is(err, exec.ErrNotFound) || err == nil && len(tables) == 0 {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	program := f.command() + "-" + string(b.other())
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Sprintf("%s has rules in the tables %s, and is not here to read them", program, strings.Join(tables, ", ")), nil
	}
	t, err := iptables.New(iptables.IPFamily(f.proto()), iptables.Timeout(lockSeconds), iptables.Path(path))
	if err != nil {
		return nil, "", err
	}
	other := *v
	other.tables, other.chains = make(map[tableID][]string), make(map[chainID]chainRules)
	other.k = &kernel{nl: v.k.nl, fixed: true, tables: map[family]*iptables.IPTables{f: t}}
	return &other, program, nil
}

func (f family) proto() iptables.Protocol {
	if f == ipv6 {
		return iptables.ProtocolIPv6
	}
	return iptables.ProtocolIPv4
}

// legacyTables lists the tables of the legacy backend that are not empty.
func legacyTables(f family) ([]string, error) {
	file := "ip_tables_names"
	if f == ipv6 {
		file = "ip6_tables_names"
	}
	names, err := os.ReadFile("/proc/thread-self/net/" + file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var tables []string
	for _, table := range strings.Fields(string(names)) {
		used, err := legacyUsed(f, table)
		if err != nil {
			return nil, fmt.Errorf("reading the table %s of the legacy %s: %w", table, f.command(), err)
		}
		if used {
			tables = append(tables, table)
		}
	}
	slices.Sort(tables)
	return tables, nil
}
