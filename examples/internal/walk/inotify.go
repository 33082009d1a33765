package walk

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// InotifyEach is how many inotify instances the service manager of a light machine has. It
// does not start without.
const InotifyEach = 3

// inotifySpare is what a script leaves for the tests beside it.
const inotifySpare = 30

// FreeInotify is how many inotify instances root may still have: the kernel counts those of
// all machines together.
func FreeInotify() (free int, err error) {
	data, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	if err != nil {
		return 0, err
	}
	if free, err = strconv.Atoi(strings.TrimSpace(string(data))); err != nil {
		return 0, err
	}
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, name := range descriptors {
		target, err := os.Readlink(name)
		if err != nil || target != "anon_inode:inotify" {
			continue
		}
		status, _ := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(name)), "status"))
		if strings.Contains(string(status), "\nUid:\t0\t0\t") {
			free--
		}
	}
	return free, err
}

// light MOST LEAST sets LIGHT to how many light machines to start: MOST, or, where root has
// not enough inotify instances for that beside other tests, LEAST.
func light(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: light MOST LEAST")
	}
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	free, err := FreeInotify()
	ts.Check(err)
	ts.Setenv("LIGHT", args[0])
	if wanted := most*InotifyEach + inotifySpare; free < wanted {
		ts.Logf("%s machines rather than %d: they want %d inotify instances, and root has %d left", args[1], most, wanted, free)
		fmt.Fprintf(os.Stderr, "walk: %s light machines rather than %d: try sysctl fs.inotify.max_user_instances=1024\n", args[1], most)
		ts.Setenv("LIGHT", args[1])
	}
}
