package nspawn

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/intree"
)

// owners translates the users of a machine to those of the host, who own its
// files: base is the host's for the machine's root.
type owners struct{ base uint32 }

// owners finds whose the tree is. With a user namespace, the directory itself
// tells, as nspawn goes by it too.
func (m *Machine) owners(t *intree.Tree) (owners, error) {
	if config := m.config(); config.Users.Mode == UsersHost {
		return owners{}, nil
	}
	info, err := t.Stat("/")
	if err != nil {
		return owners{}, err
	}
	stat, _ := info.Sys().(*syscall.Stat_t)
	return owners{stat.Uid &^ math.MaxUint16}, nil
}

// asRoot does something as the machine's root, so that what is made belongs to
// it, and can be made at all on a root whose users are mapped.
func (o owners) asRoot(do func() error) error {
	if o.base == 0 {
		return do()
	}
	return onOwnThread(func() error {
		var data [2]unix.CapUserData
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capget(&header, &data[0]); err != nil {
			return err
		}
		for _, call := range []uintptr{unix.SYS_SETFSGID, unix.SYS_SETFSUID} {
			if _, _, errno := unix.RawSyscall(call, uintptr(o.base), 0, 0); errno != 0 {
				return fmt.Errorf("become the machine's root: %w", errno)
			}
		}
		// Another user than root for files loses the capabilities for them.
		if err := unix.Capset(&header, &data[0]); err != nil {
			return err
		}
		return do()
	})
}

// add translates the owner of a file. One that no user of the machine can be is nobody.
func (o owners) add(uid, gid uint32) (int, int) {
	const nobody = 65534
	for _, id := range []*uint32{&uid, &gid} {
		if *id > o.last() {
			*id = nobody
		}
	}
	return int(o.base + uid), int(o.base + gid)
}

// find looks USER or USER:GROUP up in the machine and translates it; nobody in
// particular is -1.
func (o owners) find(t *intree.Tree, owner string) (uid, gid int, err error) {
	if owner == "" {
		return -1, -1, nil
	}
	name, group, grouped := strings.Cut(owner, ":")
	passwd, err := readSmall(t, "/etc/passwd")
	if err != nil {
		return 0, 0, err
	}
	user := parsePasswd(passwd, name)
	if user == nil {
		number, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			return 0, 0, fmt.Errorf("user %q: %w", name, ErrNotFound)
		}
		user = &account{uid: uint32(number), gid: uint32(number)}
	}
	if grouped {
		if user.gid, err = findGroup(t, group); err != nil {
			return 0, 0, err
		}
	}
	if max(user.uid, user.gid) > o.last() {
		return 0, 0, fmt.Errorf("%q is %d:%d, beyond %d: %w", owner, user.uid, user.gid, o.last(), ErrInvalid)
	}
	uid, gid = o.add(user.uid, user.gid)
	return uid, gid, nil
}

// last is the highest number that a user of the machine may have: with a user namespace,
// those beyond are other machines' or wrap around to the host's own. To chown(2), the
// highest of all means nobody in particular.
func (o owners) last() uint32 {
	if o.base == 0 {
		return math.MaxUint32 - 1
	}
	return math.MaxUint16
}

// findGroup looks a group up by name or number.
func findGroup(t *intree.Tree, group string) (uint32, error) {
	text, err := readSmall(t, "/etc/group")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(fields) == 4 && fields[0] == group {
			if number, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
				return uint32(number), nil
			}
		}
	}
	number, err := strconv.ParseUint(group, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("group %q: %w", group, ErrNotFound)
	}
	return uint32(number), nil
}

// readSmall reads a file that the machine may have put anything in the place of.
func readSmall(t *intree.Tree, name string) (string, error) {
	file, err := t.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return readBounded(file)
}
