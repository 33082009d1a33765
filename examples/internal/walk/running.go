package walk

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// running is a program that a script has started.
type running struct {
	program string
	cmd     *exec.Cmd
	out     *watcher
	ended   chan error
}

// runningKey is what the program of start is kept under.
type runningKey struct{}

// begin runs gw, or another program if args begin with "PROGRAM:", in a process group of its
// own, and returns when what it prints matches.
func begin(ts *testscript.TestScript, pattern string, args []string) *running {
	matches, err := regexp.Compile(pattern)
	ts.Check(err)
	program := "gw"
	if len(args) > 0 && strings.HasSuffix(args[0], ":") {
		program, args = strings.TrimSuffix(args[0], ":"), args[1:]
	}
	path, err := exec.LookPath(program)
	ts.Check(err)
	r := &running{program, exec.Command(path, labArgs(ts, args)...), &watcher{pattern: matches, seen: make(chan struct{})}, make(chan error, 1)}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	ts.Check(r.cmd.Start())
	go func() { r.ended <- r.cmd.Wait() }()
	select {
	case <-r.out.seen:
	case err := <-r.ended:
		ts.Fatalf("%s ended (%v) before its output matched %s:\n%s", program, err, pattern, r.out)
	}
	return r
}

// signal sends it the signal as a terminal would.
func (r *running) signal(ts *testscript.TestScript, name string) {
	ts.Check(syscall.Kill(-r.cmd.Process.Pid, unix.SignalNum("SIG"+name)))
}

// end waits until it ends, and wants that status.
func (r *running) end(ts *testscript.TestScript, status string) {
	err := <-r.ended
	ts.Logf("%s", r.out)
	wantStatus(ts, r.program, err, status)
}

// signal NAME REGEXP STATUS [ARGS] runs gw, or another program if ARGS begin with "PROGRAM:",
// sends it the signal once its output matches, and wants that end.
func signal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: signal NAME REGEXP STATUS [ARGS]")
	}
	r := begin(ts, args[1], args[3:])
	r.signal(ts, args[0])
	r.end(ts, args[2])
}

// start REGEXP [ARGS] runs gw, or another program if ARGS begin with "PROGRAM:", and goes on
// when its output matches.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: start REGEXP [ARGS]")
	}
	*ts.Value(runningKey{}).(**running) = begin(ts, args[0], args[1:])
}

// finish STATUS REGEXP waits for the end of what start has run, and wants that status and
// output.
func finish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: finish STATUS REGEXP")
	}
	r := *ts.Value(runningKey{}).(**running)
	r.end(ts, args[0])
	if !regexp.MustCompile(args[1]).MatchString(r.out.String()) {
		ts.Fatalf("it printed nothing like %s", args[1])
	}
}

// watcher collects output and closes seen when it matches.
type watcher struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	pattern *regexp.Regexp
	seen    chan struct{}
	once    sync.Once
}

func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	if w.pattern.Match(w.buf.Bytes()) {
		w.once.Do(func() { close(w.seen) })
	}
	return len(p), nil
}

func (w *watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
