package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/coreos/go-iptables/iptables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// kernel is a network namespace as its thread reaches it: netlink, iptables
// and /proc/sys. It is used on that thread only.
type kernel struct {
	nl     *netlink.Handle
	tables map[family]*iptables.IPTables

	// shared holds the names of objects that other networks recorded, too:
	// whoever goes last destroys them.
	shared map[string]bool

	route *nl.NetlinkSocket // for requests that netlink has no function for

	// bridges holds the numbers of bridges that were asked for since the last
	// change of a network began: a thousand pairs need not ask again.
	bridges map[string]int

	backends map[family]backend // found out once, as tables are

	nftables bool // Options.Nftables
	fixed    bool // tables are not those of the host's iptables
	patience int  // seconds that an iptables waits for another
}

func newKernel() (*kernel, error) {
	handle, err := netlink.NewHandle()
	if err != nil {
		return nil, err
	}
	route, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		handle.Close()
		return nil, err
	}
	return &kernel{nl: handle, route: route, tables: make(map[family]*iptables.IPTables), patience: lockSeconds}, nil
}

func (k *kernel) close() {
	k.nl.Close()
	k.route.Close()
}

// request begins a request by the socket that is open already.
func (k *kernel) request(kind, flags int) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: k.route}}
	return req
}

// bridgeIndex is the number of a bridge that has to be there.
func (k *kernel) bridgeIndex(name string) (int, error) {
	if index, ok := k.bridges[name]; ok {
		return index, nil
	}
	br, err := k.existing(name)
	if err != nil {
		return 0, err
	}
	if k.bridges == nil {
		k.bridges = make(map[string]int)
	}
	k.bridges[name] = br.Attrs().Index
	return br.Attrs().Index, nil
}

// link finds a link by name; it is nil if there is none.
func (k *kernel) link(name string) (netlink.Link, error) {
	l, err := k.nl.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil, nil
	}
	return l, err
}

// existing finds a link that has to be there.
func (k *kernel) existing(name string) (netlink.Link, error) {
	l, err := k.link(name)
	if err == nil && l == nil {
		err = fmt.Errorf("no interface %s: %w", name, fs.ErrNotExist)
	}
	return l, err
}

// iptables returns the family's iptables, looked up once.
func (k *kernel) iptables(f family) (*iptables.IPTables, error) {
	if t := k.tables[f]; t != nil {
		return t, nil
	}
	t, err := iptables.New(iptables.IPFamily(f.proto()), iptables.Timeout(k.patience))
	if errors.Is(err, exec.ErrNotFound) {
		return nil, &MissingError{Program: f.command(), Debian: "iptables", Arch: "iptables"}
	}
	if err != nil {
		return nil, err
	}
	if k.tables == nil {
		k.tables = make(map[family]*iptables.IPTables)
	}
	k.tables[f] = t
	return t, nil
}

// lockSeconds is how long iptables may wait for another iptables.
const lockSeconds = 10

// sysctlPath returns the file of a key such as net/ipv4/ip_forward.
func sysctlPath(key string) string { return filepath.Join("/proc/sys", key) }

// readSysctl returns a value without its newline.
func readSysctl(key string) (string, error) {
	b, err := os.ReadFile(sysctlPath(key))
	return strings.TrimSpace(string(b)), err
}

// writeSysctl never makes a file: there is none of that name, or it is a sysctl.
func writeSysctl(key, value string) error {
	f, err := os.OpenFile(sysctlPath(key), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
