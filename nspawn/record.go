package nspawn

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// phase is how far a machine has come, as its record says.
type phase string

const (
	phaseStarting phase = "starting" // from before nspawn is started
	phaseRunning  phase = "running"  // its first process is known
	phaseReady    phase = "ready"    // it said that its start-up is complete
	phaseStopping phase = "stopping"
)

// record is what is written about a machine before anything of it exists, so
// that whoever comes after a crash can find it, adopt it or sweep it.
type record struct {
	Config   Config
	Launcher Launcher
	BootID   string // of the kernel: after a reboot of the host nothing is left to find
	Cgroup   cgroup
	Root     inode
	Phase    phase
	Nspawn   int // process IDs; 0 while unknown
	Leader   int
	Scratch  []string // directories that nspawn made, below scratchParent
	// Reboots counts how often the machine has been started again.
	Reboots int
	Started time.Time
}

// inode identifies a directory, whichever path leads to it.
type inode struct{ Dev, Ino uint64 }

func inodeOf(path string) (inode, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return inode{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return inode{Dev: uint64(st.Dev), Ino: st.Ino}, nil
}

// isReady reports whether the machine has said that its start-up is complete.
func (r *record) isReady() bool { return r.Phase == phaseReady || r.Phase == phaseStopping }

// exclusive reports whether the machine changes its root in place.
func (r *record) exclusive() bool {
	return !r.Config.ReadOnly && !r.Config.Ephemeral &&
		r.Config.Volatile != VolatileYes && r.Config.Volatile != VolatileOverlay
}

// inCgroup reports whether a process lives in g or below it.
func inCgroup(pid int, g cgroup) bool {
	path, err := unifiedPath(pid)
	mount, mountErr := unifiedMount()
	if err != nil || mountErr != nil {
		return false
	}
	full := filepath.Join(mount, path)
	return full == string(g) || strings.HasPrefix(full, string(g)+"/")
}

func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// save replaces the record in the machine's state directory as a whole.
func (r *record) save(dir string) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	temporary := filepath.Join(dir, "record.new")
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(dir, "record"))
}

// loadRecord reads what save wrote. A directory without a record is one whose
// maker was killed before it wrote any: fs.ErrNotExist.
func loadRecord(dir string) (*record, error) {
	data, err := os.ReadFile(filepath.Join(dir, "record"))
	if err != nil {
		return nil, err
	}
	r := new(record)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, &fs.PathError{Op: "read", Path: filepath.Join(dir, "record"), Err: err}
	}
	mount, err := unifiedMount()
	if err != nil {
		return nil, err
	}
	r.Cgroup = r.Cgroup.at(mount)
	return r, nil
}

// lockName is the lock in a machine's state directory.
const lockName = "lock"

// lockFile is an exclusive lock that the kernel drops with its holder.
type lockFile struct{ file *os.File }

// tryLock takes the lock on a file, making it where it is missing, or fails
// with ErrBusy.
func tryLock(path string) (*lockFile, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			file.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, ErrBusy
			}
			return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
		}
		if sameFile(file, path) {
			return &lockFile{file}, nil
		}
		file.Close() // its last holder removed it in between
	}
}

func sameFile(file *os.File, path string) bool {
	ours, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(ours, there)
}

// release lets go of the lock; the file stays. Closing alone would not do while a
// child between fork and exec has the file as well.
func (l *lockFile) release() error {
	return errors.Join(unix.Flock(int(l.file.Fd()), unix.LOCK_UN), l.file.Close())
}
