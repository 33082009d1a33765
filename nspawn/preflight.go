package nspawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Finding is the answer to one question about the host.
type Finding struct {
	Topic string
	// Err is nil for yes, matches ErrNotSupported for no, and is anything else
	// where the question could not be answered.
	Err error
	// Detail is what was found.
	Detail string
	// Remedy is what to do about a no.
	Remedy string
	// Needed tells what machines cannot do without from what is only better.
	Needed bool
}

// String is one line for people.
func (f Finding) String() string {
	answer := "yes"
	switch {
	case errors.Is(f.Err, ErrNotSupported):
		answer = "no"
	case f.Err != nil:
		answer = fmt.Sprintf("could not tell: %v", f.Err)
	}
	text := fmt.Sprintf("%-24s %s", f.Topic, answer)
	if f.Detail != "" {
		text += " (" + f.Detail + ")"
	}
	if f.Remedy != "" && f.Err != nil {
		text += ": " + f.Remedy
	}
	return text
}

// Preflight looks at everything on the host that machines depend on. It changes
// nothing, and needs root only where a finding says so.
func Preflight(ctx context.Context) []Finding {
	probes := []func(context.Context) Finding{
		findRoot, findProgram, findCgroups, findControllers, findSystemd, findUserNamespaces, findInotify, findRun, findJournalctl,
	}
	findings := make([]Finding, len(probes))
	for i, probe := range probes {
		findings[i] = probe(ctx)
	}
	return findings
}

func findRoot(context.Context) Finding {
	f := Finding{Topic: "root privileges", Needed: true, Remedy: "try sudo"}
	if uid := os.Geteuid(); uid != 0 {
		f.Err, f.Detail = ErrNotSupported, "user "+strconv.Itoa(uid)
	}
	return f
}

func findProgram(ctx context.Context) Finding {
	f := Finding{Topic: "systemd-nspawn", Needed: true, Remedy: "install systemd-container (Debian) or systemd (Arch)"}
	found, err := findNspawn(ctx)
	switch {
	case err == nil:
		f.Detail = fmt.Sprintf("version %d", found.version)
	case errors.Is(err, exec.ErrNotFound):
		f.Err = ErrNotSupported
	default:
		f.Err = err
	}
	return f
}

func findCgroups(context.Context) Finding {
	f := Finding{Topic: "control groups v2", Needed: true}
	mount, err := unifiedMount()
	if err != nil {
		f.Err, f.Remedy = ErrNotSupported, "mount -t cgroup2 none /sys/fs/cgroup/unified"
		return f
	}
	f.Detail = "at " + mount
	if _, err := os.Stat(mount + "/cgroup.procs"); err != nil {
		f.Err = err
	}
	return f
}

func findControllers(context.Context) Finding {
	f := Finding{Topic: "limits", Remedy: "boot with systemd.unified_cgroup_hierarchy=1"}
	mount, err := unifiedMount()
	if err != nil {
		f.Err = err
		return f
	}
	controllers, err := os.ReadFile(mount + "/cgroup.controllers")
	if err != nil {
		f.Err = err
		return f
	}
	var missing []string
	for _, name := range []string{"memory", "cpu", "pids"} {
		if !slices.Contains(strings.Fields(string(controllers)), name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		f.Err, f.Detail = ErrNotSupported, strings.Join(missing, ", ")+" bound to version 1"
	}
	return f
}

func findSystemd(ctx context.Context) Finding {
	f := Finding{Topic: "systemd and machined", Remedy: "machines are started directly; machinectl does not know them"}
	f.Detail, f.Err = probeSystemd(ctx)
	if f.Detail != "" {
		f.Err = ErrNotSupported
	}
	return f
}

func findUserNamespaces(context.Context) Finding {
	f := Finding{Topic: "user namespaces", Remedy: "sysctl user.max_user_namespaces=10000"}
	limit, err := readNumber("/proc/sys/user/max_user_namespaces")
	switch {
	case errors.Is(err, os.ErrNotExist):
		f.Err, f.Detail = ErrNotSupported, "not in this kernel"
	case err != nil:
		f.Err = err
	case limit == 0:
		f.Err, f.Detail = ErrNotSupported, "user.max_user_namespaces is 0"
	}
	return f
}

// inotifyWanted lets some twenty machines have as many watching programs as a
// small system does.
const inotifyWanted = 512

func findInotify(context.Context) Finding {
	f := Finding{Topic: "inotify instances", Remedy: fmt.Sprintf("sysctl fs.inotify.max_user_instances=%d", 2*inotifyWanted)}
	limit, err := readNumber("/proc/sys/fs/inotify/max_user_instances")
	f.Err, f.Detail = err, strconv.FormatUint(limit, 10)
	if err == nil && limit < inotifyWanted {
		f.Err = ErrNotSupported
		f.Detail += ", which some machines at once use up"
	}
	return f
}

func findRun(context.Context) Finding {
	f := Finding{Topic: "/run in memory", Remedy: "records of machines outlive a reboot of the host, and are swept then"}
	var st unix.Statfs_t
	if err := unix.Statfs("/run", &st); err != nil {
		f.Err = err
	} else if st.Type != unix.TMPFS_MAGIC {
		f.Err, f.Detail = ErrNotSupported, "it is on disk"
	}
	return f
}

func findJournalctl(context.Context) Finding {
	f := Finding{Topic: "journals of the dead", Remedy: "install systemd (Debian, Arch)"}
	if _, err := exec.LookPath("journalctl"); err != nil {
		f.Err, f.Detail = ErrNotSupported, "no journalctl"
	}
	return f
}

func readNumber(path string) (uint64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
}
