package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/internal/qemu"
	"github.com/prologin/rig/internal/syspkg"
	"github.com/prologin/rig/netsetup"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/snapshot"
)

// Finding is the answer to one question about the host.
type Finding struct {
	Topic string
	// Err is nil for yes. It matches [errors.ErrUnsupported] for no, and is anything
	// else where the question could not be answered.
	Err error
	// Detail is what was found, Remedy what to do about a no.
	Detail, Remedy string
	// Needed tells what a lab cannot do without from what is only better.
	Needed bool
}

// Answer is "yes", "no" or "?".
func (f Finding) Answer() string {
	switch {
	case f.Err == nil:
		return "yes"
	case errors.Is(f.Err, errors.ErrUnsupported):
		return "no"
	}
	return "?"
}

// errNo is a plain no.
var errNo = fmt.Errorf("no: %w", errors.ErrUnsupported)

// Doctor looks at everything on the host that a lab depends on. It changes nothing,
// and can tell more to root.
func Doctor(ctx context.Context, c Config, o Options) ([]Finding, error) {
	if err := o.Complete(); err != nil {
		return nil, err
	}
	l := &Lab{Config: c, Options: o}
	var findings []Finding
	for _, f := range nspawn.Preflight(ctx) {
		findings = append(findings, Finding{f.Topic, f.Err, f.Detail, f.Remedy, f.Needed})
	}
	findings = append(findings, l.findPackages(), l.findNetwork(ctx))
	findings = append(findings, l.findStore(ctx)...)
	return append(findings, l.findMirror(), l.findBootstrap(), findNBD(), findDevice("/dev/net/tun", "virtual machines on the bridge"),
		findDevice("/dev/fuse", "homes over NBD in user space"), findKVM(qemu.KVM())), nil
}

func (l *Lab) findPackages() Finding {
	f := Finding{Topic: "system packages", Needed: true}
	manager, err := syspkg.Detect()
	if err != nil {
		f.Err, f.Remedy = err, "install by hand: systemd-nspawn, iptables, mkfs.btrfs, pacman, gpg, mmdebstrap"
		return f
	}
	missing := manager.Missing(l.needs())
	if len(missing) > 0 {
		f.Err, f.Detail, f.Remedy = errNo, strings.Join(missing, " "), "they are installed by the first run, or by hand"
	}
	return f
}

func (l *Lab) findNetwork(ctx context.Context) Finding {
	f := Finding{Topic: "network " + l.Bridge(), Needed: true, Detail: "bridge and iptables"}
	err := l.openNet()
	if err == nil {
		defer l.net.Close()
		if l.Network == "zone" || l.Network == "" && networkdRuns() {
			f.Detail = "zone of systemd-networkd"
			_, err = l.net.PlanZone(ctx, l.zone(false))
		} else {
			_, err = l.net.Plan(ctx, l.network(false))
		}
	}
	if err == nil {
		return f
	}
	f.Err, f.Detail = err, err.Error()
	var missing *netsetup.MissingError
	switch {
	case errors.Is(err, fs.ErrPermission):
		f.Remedy = "try sudo"
	case errors.As(err, &missing):
		f.Err, f.Remedy = errNo, "install "+missing.Debian+" (Debian) or "+missing.Arch+" (Arch)"
	case errors.Is(err, netsetup.ErrExists), errors.Is(err, netsetup.ErrOverlap), errors.Is(err, netsetup.ErrNotSupported):
		f.Err, f.Remedy = errNo, "free the name and the addresses, or remove the file in the way"
	}
	return f
}

func (l *Lab) findStore(ctx context.Context) []Finding {
	dir := l.StoreDir()
	for _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) && dir != "/"; _, err = os.Stat(dir) {
		dir = filepath.Dir(dir)
	}
	f := Finding{Topic: "storage", Detail: l.StoreDir(), Needed: true}
	if l.StoreDir() == l.poolDir() {
		f.Detail = "a btrfs pool in " + l.poolFile()
		if lacks := poolLacks(); lacks != "" {
			f.Err, f.Detail, f.Remedy = errNo, f.Detail+" wants "+lacks, "-store DIR keeps trees without a pool"
		}
	}
	found, err := snapshot.Preflight(ctx, dir)
	if err != nil {
		f.Err = err
	}
	list := []Finding{f}
	for _, p := range found {
		if p.Topic == "driver" && !p.Fatal {
			if l.StoreDir() == l.poolDir() {
				continue // the pool is a btrfs, wherever it lies
			}
			p.Remedy = "leave -store out, for a btrfs pool"
		}
		answer := fmt.Errorf("%w: %w", p.Err, errors.ErrUnsupported)
		if looked := (*fs.PathError)(nil); errors.As(p.Err, &looked) {
			answer = p.Err // it could not be told
		}
		list = append(list, Finding{"storage: " + p.Topic, answer, p.Err.Error(), p.Remedy, p.Fatal})
	}
	return list
}

// poolLacks says what a pool cannot do without and this host does not have.
func poolLacks() string {
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return "loop devices"
	}
	systems, err := os.ReadFile("/proc/filesystems")
	if err == nil && !strings.Contains(string(systems), "\tbtrfs\n") && !moduleInstalled("btrfs") {
		return "btrfs in the kernel"
	}
	return ""
}

func (l *Lab) findMirror() Finding {
	f := Finding{Topic: "packages", Needed: true}
	switch {
	case !l.embedded():
		f.Detail = "from " + l.Mirror
	case archtest.Cached(l.mirrorOptions()):
		f.Detail = "mirror made of Debian packages, in " + l.Cache
	default:
		f.Detail = "a mirror will be made of Debian packages, which takes a minute or two and a Debian archive in reach"
	}
	return f
}

func (l *Lab) findBootstrap() Finding {
	f := Finding{Topic: "Arch bootstrap", Needed: l.Options.Base == ""}
	config := l.Config.Base
	if l.embedded() {
		config.Repositories = repositories("http://" + l.mirrorAddress())
	} else if l.realMirror() {
		config.Repositories = repositories(l.Mirror)
	}
	method, why, err := config.Probe()
	f.Detail = fmt.Sprintf("%v: %s", method, why)
	if err != nil {
		f.Err, f.Detail, f.Remedy = errNo, err.Error(), "install pacman-package-manager (Debian) or pacman (Arch)"
	}
	return f
}

// findNBD looks whether the kernel has network block devices.
func findNBD() Finding {
	f := Finding{Topic: "nbd in the kernel", Detail: "homes over NBD by the kernel"}
	if _, err := os.Stat("/sys/module/nbd"); err == nil {
		return f
	}
	if moduleInstalled("nbd") {
		f.Detail = "not loaded; host loads it"
		return f
	}
	f.Err, f.Detail, f.Remedy = errNo, "homes come by nbdfuse in user space instead", "a kernel with CONFIG_BLK_DEV_NBD"
	return f
}

func findDevice(path, what string) Finding {
	f := Finding{Topic: path, Detail: what}
	if _, err := os.Stat(path); err != nil {
		f.Err, f.Remedy = errNo, "a kernel, or a container, that has it"
	}
	return f
}

// findKVM says what it means that the processor helps virtual machines, or why it does not.
func findKVM(err error) Finding {
	f := Finding{Topic: "/dev/kvm", Detail: "virtual machines at full speed"}
	if err == nil {
		return f
	}
	f.Err, f.Detail = errNo, err.Error()+": pas -vm emulates, which takes minutes"
	switch {
	case errors.Is(err, qemu.ErrNoExtensions):
		f.Remedy = "a processor that has, or nested virtualisation where this is a virtual machine"
	case errors.Is(err, fs.ErrNotExist):
		f.Remedy = "a kernel, or a container, that has it"
	default:
		f.Err, f.Remedy = err, "try sudo"
	}
	return f
}
