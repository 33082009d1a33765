package archboot

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// downloadUser is the account that Arch's pacman 7 fetches files as.
const downloadUser = "alpm"

// A sandbox is what pacman(8) of version 7 and newer does to the process that fetches
// files: it changes its user, restricts by Landlock what it may write, and from 7.1 on
// by seccomp what it may call.
type sandbox struct {
	options []string // lines for pacman.conf
	why     string   // in words for people
}

// probeSandbox finds out how much of its sandbox a pacman has and can use here.
func (p *pacman) probeSandbox(ctx context.Context) sandbox {
	version, err := p.version(ctx)
	if err != nil || version < 700 {
		return sandbox{why: "fetch packages as root: this pacman has no sandbox"}
	}
	if err := p.reachable(); err != nil {
		return sandbox{why: "fetch packages as root: " + err.Error()}
	}
	s := sandbox{options: []string{"DownloadUser = " + downloadUser}, why: "fetch packages as user " + downloadUser}
	if err := probeLandlock(); err == nil {
		s.why += ", confined by Landlock"
	} else {
		// What there is instead of DisableSandboxFilesystem in 7.0 disables no more than
		// that does: there is no other part of the sandbox then.
		option := "DisableSandboxFilesystem"
		if version < 701 {
			option = "DisableSandbox"
		}
		s.options = append(s.options, option)
		s.why += fmt.Sprintf(", without Landlock (%v)", err)
	}
	if err := probeSeccomp(); err != nil && version >= 701 {
		s.options = append(s.options, "DisableSandboxSyscalls")
		s.why += fmt.Sprintf(", without seccomp (%v)", err)
	}
	return s
}

var versionPattern = regexp.MustCompile(`\bPacman v(\d+)\.(\d+)`)

// version is pacman's, 701 for 7.1.
func (p *pacman) version(ctx context.Context) (int, error) {
	version := 0
	err := p.chamber.run(ctx, program{path: p.program(), chroot: p.tools, args: []string{"--version"}, line: func(s string) {
		if m := versionPattern.FindStringSubmatch(s); m != nil {
			major, _ := strconv.Atoi(m[1])
			minor, _ := strconv.Atoi(m[2])
			version = 100*major + minor
		}
	}})
	return version, err
}

// reachable finds out whether the account for downloads exists and may go where the
// files come from and where they are put.
func (p *pacman) reachable() error {
	passwd, err := os.ReadFile(filepath.Join(p.tools, "/etc/passwd"))
	if err != nil {
		return err
	}
	if !strings.Contains("\n"+string(passwd), "\n"+downloadUser+":") {
		return errors.New("there is no user " + downloadUser)
	}
	var dirs []string
	if p.tools == "" { // else everything is at the top of the tools
		dirs = append(dirs, p.chamber.root, p.cache())
	}
	for _, r := range p.config.Repositories {
		for _, s := range r.Servers {
			if u, err := url.Parse(s); err == nil && u.Scheme == "file" {
				dirs = append(dirs, strings.Split(u.Path, "$")[0])
			}
		}
	}
	for _, dir := range dirs {
		if closed := closedAbove(dir); closed != "" {
			return fmt.Errorf("user %s may not pass through %s", downloadUser, closed)
		}
	}
	return nil
}

// closedAbove returns the first directory on the way to path, path included, that not
// everybody may pass through, or nothing.
func closedAbove(path string) string {
	for dir := filepath.Clean(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			return dir
		}
	}
	return ""
}

// probeLandlock asks the kernel for the version of its Landlock, see
// landlock_create_ruleset(2).
func probeLandlock() error {
	_, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return fmt.Errorf("the kernel has none: %w", errno)
	}
	return nil
}

// probeSeccomp asks whether filters can be set: EFAULT means that the kernel would
// have looked at one, see seccomp(2).
func probeSeccomp() error {
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, 0, 0, 0)
	if err == unix.EFAULT {
		return nil
	}
	return fmt.Errorf("the kernel has none: %w", err)
}
