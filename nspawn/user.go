package nspawn

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultPath is where programs are looked up in a machine.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// account is a user as the machine's /etc/passwd has it.
type account struct {
	name, home, shell string
	uid, gid          uint32
	groups            []uint32
}

// root needs no look-up: it is the same everywhere.
var root = account{name: "root", home: "/root", shell: "/bin/sh"}

// Environ is the environment that the command gets when Env is nil, for root;
// HOME, USER, LOGNAME and SHELL follow the user when the command starts.
func (c *Cmd) Environ() []string {
	if c.Env != nil {
		return append([]string(nil), c.Env...)
	}
	return root.environ()
}

func (a *account) environ() []string {
	return []string{
		"PATH=" + defaultPath, "LANG=C.UTF-8",
		"HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name, "SHELL=" + a.shell,
	}
}

// resolve settles what depends on the machine's files: user, environment,
// program and working directory. The calling thread has joined the machine.
func (c *Cmd) resolve() error {
	user, err := lookupAccount(c.User)
	if err != nil {
		return err
	}
	if user.uid != 0 || user.gid != 0 || len(user.groups) > 0 {
		c.inner.SysProcAttr.Credential = &syscall.Credential{Uid: user.uid, Gid: user.gid, Groups: user.groups}
	} else {
		c.inner.SysProcAttr.Credential = &syscall.Credential{}
	}
	c.inner.Env = c.Env
	if c.Env == nil {
		c.inner.Env = user.environ()
	}
	c.inner.Dir = c.Dir
	if c.Dir == "" {
		c.inner.Dir = user.home
		if info, err := os.Stat(user.home); err != nil || !info.IsDir() {
			c.inner.Dir = "/"
		}
	}
	c.inner.Path, err = lookPath(c.Path, c.inner.Env)
	c.inner.Err = nil
	return err
}

// lookPath finds a program along the PATH of an environment.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	search := ""
	for _, entry := range env {
		if value, found := strings.CutPrefix(entry, "PATH="); found {
			search = value
		}
	}
	refused := error(ErrNotFound)
	for _, dir := range filepath.SplitList(search) {
		path := filepath.Join("/", dir, name)
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			continue
		}
		if info.Mode()&0o111 != 0 {
			return path, nil
		}
		refused = unix.EACCES
	}
	return "", fmt.Errorf("program %q: %w", name, refused)
}

// lookupAccount finds a user by name or number.
func lookupAccount(user string) (*account, error) {
	if user == "" || user == "root" || user == "0" {
		return &root, nil
	}
	passwd, err := readRegular("/etc/passwd")
	if err != nil {
		return nil, err
	}
	found := parsePasswd(passwd, user)
	if found == nil {
		number, err := strconv.ParseUint(user, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %q: %w", user, ErrNotFound)
		}
		return &account{name: user, home: "/", shell: "/bin/sh", uid: uint32(number), gid: uint32(number)}, nil
	}
	group, err := readRegular("/etc/group")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	found.groups = parseGroups(group, found.name)
	return found, nil
}

// parsePasswd finds a user in the format of passwd(5).
func parsePasswd(text, user string) *account {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(fields) != 7 || fields[0] == "" || fields[0] != user && fields[2] != user {
			continue
		}
		uid, uidErr := strconv.ParseUint(fields[2], 10, 32)
		gid, gidErr := strconv.ParseUint(fields[3], 10, 32)
		if uidErr == nil && gidErr == nil {
			return &account{
				name: fields[0], uid: uint32(uid), gid: uint32(gid),
				home: orDefault(fields[5], "/"), shell: orDefault(fields[6], "/bin/sh"),
			}
		}
	}
	return nil
}

// parseGroups lists the supplementary groups of a user in the format of group(5).
func parseGroups(text, user string) (groups []uint32) {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(fields) != 4 {
			continue
		}
		for _, member := range strings.Split(fields[3], ",") {
			if gid, err := strconv.ParseUint(fields[2], 10, 32); err == nil && member == user {
				groups = append(groups, uint32(gid))
			}
		}
	}
	return groups
}

// readRegular reads a small file of the machine, which may have put anything in
// its place: a fifo does not block, a device is not read, and size is bounded.
func readRegular(path string) (string, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	return readBounded(file)
}

// readBounded reads what is not expected to be large.
func readBounded(file io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(file, 4<<20))
	return string(data), err
}
