package walk

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/prologin/rig/examples/internal/prolo"
)

// link add NAME [ADDRESS] makes a bridge that is not ours; link del NAME removes it.
func link(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: link add|del NAME [ADDRESS]")
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: args[1]}}
	if args[0] == "del" {
		ts.Check(netlink.LinkDel(bridge))
		return
	}
	ts.Check(netlink.LinkAdd(bridge))
	if len(args) > 2 {
		address, err := netlink.ParseAddr(args[2])
		ts.Check(err)
		ts.Check(netlink.AddrAdd(bridge, address))
	}
	ts.Check(netlink.LinkSetUp(bridge))
}

// world up puts a second host beyond an uplink of this one: 203.0.113.2, with a
// web server that answers with the address of whoever asks and knows no way back
// to any other network. world down removes both.
func world(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) == 1 && args[0] == "up":
		ts.Check(worldUp())
	case !neg && len(args) == 1 && args[0] == "down":
		ts.Check(netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "uplink"}}))
	default:
		ts.Fatalf("usage: world up|down")
	}
}

func worldUp() error {
	err := beyond("world", "uplink", func() error { return serveWorld("203.0.113.2") })
	return errors.Join(err, setUp("uplink", "203.0.113.1/24"))
}

// beyond makes a second host, which is wired to this one, and runs f there. It lives as long
// as this program.
func beyond(there, here string, f func() error) error {
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread keeps its namespace
		ready <- func() error {
			if err := enterBeyond(there, here); err != nil {
				return err
			}
			return f()
		}()
		select {}
	}()
	return <-ready
}

// enterBeyond turns the calling thread's namespace into a new one, wired to the old one.
func enterBeyond(there, here string) error {
	old, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer old.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: there}, PeerName: here, PeerNamespace: netlink.NsFd(old.Fd())})
}

func serveWorld(address string) error {
	if err := setUp("world", address+"/24"); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address+":80")
	if err != nil {
		return err
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "you are", r.RemoteAddr)
	}))
	return nil
}

func setUp(name, address string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(l, a); err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

// stranger up ADDRESS plugs a host that is not ours into the lab's bridge, with that
// address; stranger down unplugs it.
func stranger(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) == 2 && args[0] == "up":
		ts.Check(beyond("eth0", "stranger", func() error { return setUp("eth0", args[1]) }))
		port, err := netlink.LinkByName("stranger")
		ts.Check(err)
		bridge, err := netlink.LinkByName(prolo.Bridge)
		ts.Check(err)
		ts.Check(netlink.LinkSetMaster(port, bridge))
		ts.Check(netlink.LinkSetUp(port))
	case !neg && len(args) == 1 && args[0] == "down":
		ts.Check(netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "stranger"}}))
	default:
		ts.Fatalf("usage: stranger up ADDRESS|down")
	}
}
