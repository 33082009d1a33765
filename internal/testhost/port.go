package testhost

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A virtual host has some virtual serial ports, virtio-serial, each for one command
// at a time, and an agent at their other ends. On the machine's side a port is a
// unix socket in a directory that only root may enter.
const (
	portCount  = 8
	portPrefix = "org.prologin.rig."
)

// message is a line of JSON, in either direction. A command whose user is killed
// can end in the middle of one, hence lines, and what comes after it can meet what
// it left, hence the session.
type message struct {
	Session string
	Start   *start         `json:",omitempty"` // to the host: begins a session
	Signal  syscall.Signal `json:",omitempty"` // to the host
	Stream  int            `json:",omitempty"` // 0 to the host, 1 and 2 from it
	Data    []byte         `json:",omitempty"`
	End     bool           `json:",omitempty"` // of the stream that goes to the host
	Exit    *exit          `json:",omitempty"` // from the host: ends a session
}

// start says what to run.
type start struct {
	Path      string
	Args, Env []string
	Dir       string
	Show      []string // directories of the machine that it must see
}

// exit says how it ended.
type exit struct {
	ExitError
	Failed string // why it did not run
}

// sender writes messages of one session.
type sender struct {
	mu      sync.Mutex
	w       io.Writer
	session string
}

func (s *sender) send(m message) error {
	m.Session = s.session
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = s.w.Write(append(line, '\n'))
	return err
}

// stream is an io.Writer that sends.
type stream struct {
	*sender
	number int
}

func (s stream) Write(p []byte) (int, error) {
	return len(p), s.send(message{Stream: s.number, Data: p})
}

func (h *Host) port(n int) string { return h.path(fmt.Sprintf("ports/%d", n)) }

// listen makes the sockets, before QEMU starts: whoever dials waits for it.
func (h *Host) listen() (sockets []*os.File, err error) {
	if err := os.MkdirAll(h.path("ports"), 0o700); err != nil {
		return nil, err
	}
	for n := range portCount {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.port(n), Net: "unix"})
		if err != nil {
			closeAll(sockets)
			return nil, err
		}
		l.SetUnlinkOnClose(false)
		socket, err := l.File()
		l.Close()
		if err != nil {
			closeAll(sockets)
			return nil, err
		}
		sockets = append(sockets, socket)
	}
	return sockets, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}

// dial connects to a port that nobody uses. The lock ends with us.
func (h *Host) dial() (conn net.Conn, unlock func(), err error) {
	for n := range portCount {
		lock, err := os.OpenFile(h.port(n)+".lock", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, nil, err
		}
		free := func() {
			_ = unix.Flock(int(lock.Fd()), unix.LOCK_UN)
			lock.Close()
		}
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			if conn, err = net.Dial("unix", h.port(n)); err == nil {
				return conn, free, nil
			}
		}
		free()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("%d commands run in the host already: %w", portCount, ErrBusy)
}

// call runs a command in a virtual host, see [Host.Run].
func (h *Host) call(ctx context.Context, cmd *exec.Cmd, signals <-chan os.Signal) error {
	conn, unlock, err := h.dial()
	if err != nil {
		return err
	}
	defer unlock()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	out := &sender{w: conn, session: rand.Text()}
	// What a killed user left unfinished ends with a newline.
	if _, err := conn.Write([]byte("\n")); err != nil {
		return err
	}
	h.mu.Lock()
	what := start{Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir, Show: slices.Clone(h.visible)}
	h.mu.Unlock()
	if err := out.send(message{Start: &what}); err != nil {
		return err
	}
	go feed(out, cmd.Stdin)
	done := make(chan struct{})
	defer close(done)
	go relay(out, signals, done)
	err = receive(conn, out.session, cmd)
	if cause := context.Cause(ctx); cause != nil && !errors.As(err, new(*ExitError)) {
		return cause
	}
	return err
}

// feed sends what stdin has. A read that does not end ends with the process.
func feed(out *sender, stdin io.Reader) {
	if stdin != nil {
		_, _ = io.Copy(stream{sender: out}, stdin)
	}
	_ = out.send(message{End: true})
}

func relay(out *sender, signals <-chan os.Signal, done <-chan struct{}) {
	for {
		select {
		case sig := <-signals:
			_ = out.send(message{Signal: sig.(syscall.Signal)})
		case <-done:
			return
		}
	}
}

// receive takes what a command says until it ends.
func receive(from io.Reader, session string, cmd *exec.Cmd) error {
	lines := newLines(from)
	for {
		m, err := lines.next()
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrGone, err)
		case m.Session != session:
		case m.Exit != nil:
			return m.Exit.err()
		case m.Stream == 1 && cmd.Stdout != nil:
			_, err = cmd.Stdout.Write(m.Data)
		case m.Stream == 2 && cmd.Stderr != nil:
			_, err = cmd.Stderr.Write(m.Data)
		}
		if err != nil {
			return err
		}
	}
}

func (e exit) err() error {
	switch {
	case e.Failed != "":
		return errors.New(strings.TrimSpace(e.Failed))
	case e.ExitError == ExitError{}:
		return nil
	}
	return &e.ExitError
}
