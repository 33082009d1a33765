package nspawn

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Check reports everything that keeps a machine from being started here: all
// that Validate finds, files and interfaces that are missing, and what the
// installed systemd-nspawn cannot do. It changes nothing.
func (h *Host) Check(config Config) error {
	if err := config.Validate(); err != nil {
		return err
	}
	var f faults
	h.checkRoot(&f, &config)
	for i, bind := range config.Binds {
		if bind.Source != "" && !bind.Optional {
			f.exists(index("Binds", i)+".Source", bind.Source)
		}
	}
	for i, overlay := range config.Overlays {
		for j, layer := range overlay.Layers {
			if layer != "" {
				f.exists(index(index("Overlays", i)+".Layers", j), layer)
			}
		}
	}
	for i, device := range config.Devices {
		path, optional := strings.CutPrefix(device, "-")
		info, err := os.Stat(path)
		if optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || info.Mode()&fs.ModeDevice == 0 {
			f.add(index("Devices", i), "%s is no device node of this host", path)
		}
	}
	for i, credential := range config.Credentials {
		if credential.Path != "" {
			f.exists(index("Credentials", i)+".Path", credential.Path)
		}
	}
	checkEphemeral(&f, &config)
	h.checkLimits(&f, config.Limits)
	h.checkNetwork(&f, &config.Network)
	return errors.Join(f...)
}

// checkLimits wants the controllers of the bounds asked for. The direct launcher
// uses those of version 2 only, systemd also those that are bound to version 1.
func (h *Host) checkLimits(f *faults, limits Limits) {
	unified, err := os.ReadFile(filepath.Join(h.mount, "cgroup.controllers"))
	if err != nil {
		f.add("Limits", "%v", err)
	}
	for _, bound := range []struct {
		field, controller string
		asked             bool
	}{
		{"Limits.Memory", "memory", limits.Memory > 0}, {"Limits.CPUs", "cpu", limits.CPUs > 0}, {"Limits.Tasks", "pids", limits.Tasks > 0},
	} {
		bySystemd := h.launcher == LauncherSystemd && present(filepath.Join("/sys/fs/cgroup", bound.controller))
		if bound.asked && !bySystemd && !slices.Contains(strings.Fields(string(unified)), bound.controller) {
			f.unsupported(bound.field, "the host's %s controller is bound to cgroup version 1; boot it with systemd.unified_cgroup_hierarchy=1", bound.controller)
		}
	}
}

// checkEphemeral refuses what nspawn would do for ever: of a root that is a mount
// point it makes the copy inside, and goes on to copy that.
func checkEphemeral(f *faults, config *Config) {
	if !config.Ephemeral {
		return
	}
	var info unix.Statx_t
	var fs unix.Statfs_t
	err := errors.Join(unix.Statx(unix.AT_FDCWD, config.Root, 0, unix.STATX_BASIC_STATS, &info), unix.Statfs(config.Root, &fs))
	if err != nil {
		return // missing: checkRoot says so
	}
	if info.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 && fs.Type != unix.BTRFS_SUPER_MAGIC {
		f.add("Ephemeral", "%s is a mount point, which nspawn would copy into itself; use Volatile, or a directory below", config.Root)
	}
}

// checkRoot wants a directory that an operating system could boot from.
func (h *Host) checkRoot(f *faults, config *Config) {
	info, err := os.Stat(config.Root)
	if err != nil || !info.IsDir() {
		f.add("Root", "%s is no directory", config.Root)
		return
	}
	if !present(filepath.Join(config.Root, "usr")) {
		f.add("Root", "%s has no /usr: it holds no operating system", config.Root)
		return
	}
	if len(config.Command) > 0 {
		return
	}
	// The paths that nspawn tries in this order.
	for _, init := range []string{"usr/lib/systemd/systemd", "lib/systemd/systemd", "sbin/init"} {
		if present(filepath.Join(config.Root, init)) {
			return
		}
	}
	f.add("Root", "%s has no init to boot: no systemd package is installed in it", config.Root)
}

// present does not follow a link, whose target means something else outside
// the machine than inside.
func present(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (f *faults) exists(field, path string) {
	if _, err := os.Stat(path); err != nil {
		f.add(field, "%v", err)
	}
}

// checkNetwork looks for interfaces in the namespace where nspawn will.
func (h *Host) checkNetwork(f *faults, n *Network) {
	if n.Namespace != "" {
		var st unix.Statfs_t
		if err := unix.Statfs(n.Namespace, &st); err != nil || st.Type != unix.NSFS_MAGIC {
			f.add("Network.Namespace", "%s is no network namespace", n.Namespace)
		}
	}
	if h.launcher == LauncherSystemd && h.options.Netns != "" && len(n.Interfaces)+len(n.MACVLAN)+len(n.IPVLAN) > 0 {
		f.add("Network", "a unit in another network namespace sees the interfaces of the host's; use the direct launcher")
	}
	wanted := n.existing()
	if len(wanted) == 0 {
		return
	}
	err := onOwnThread(func() error {
		if h.options.Netns != "" {
			if err := joinNetns(h.options.Netns); err != nil {
				return err
			}
		}
		for _, field := range slices.Sorted(maps.Keys(wanted)) {
			if _, err := net.InterfaceByName(wanted[field]); err != nil {
				f.add(field, "there is no interface %s", wanted[field])
			}
		}
		return nil
	})
	if err != nil {
		f.add("Network", "%v", err)
	}
}

// existing are the interfaces that have to be there, by field.
func (n *Network) existing() map[string]string {
	wanted := map[string]string{}
	if n.Bridge != "" {
		wanted["Network.Bridge"] = n.Bridge
	}
	for field, names := range map[string][]string{
		"Network.Interfaces": n.Interfaces, "Network.MACVLAN": n.MACVLAN, "Network.IPVLAN": n.IPVLAN,
	} {
		for i, name := range names {
			wanted[index(field, i)] = name
		}
	}
	return wanted
}
