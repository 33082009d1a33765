package testhost

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// AgentCommand is the first argument that a program which calls [Acquire] for a
// virtual host is started with in that host. It must call [Agent] then.
const AgentCommand = "agent"

// agentVar tells the host which program the agent is.
const agentVar = "RIG_AGENT"

// Agent runs the commands that come to a virtual host by its ports. It does not
// end by itself.
func Agent() error {
	failed := make(chan error)
	for n := range portCount {
		go func() { failed <- serve(fmt.Sprintf("/dev/virtio-ports/%s%d", portPrefix, n)) }()
	}
	return <-failed
}

// serve runs one command after the other.
func serve(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	lines := newLines(&port{raw: raw})
	var running *command
	for {
		m, err := lines.next()
		switch {
		case err == io.EOF:
			running.endIf(func() bool { return hungUp(raw) })
		case err != nil:
			return err
		case m.Start != nil:
			running.end()
			running = begin(&sender{w: file, session: m.Session}, m.Start)
		case running != nil && m.Session == running.session:
			running.take(m)
		}
	}
}

// port reads from a virtual serial port. The driver gives an end of file for as
// long as the other side is not connected; the port gives one, and waits then.
type port struct {
	raw syscall.RawConn
	off bool
}

func (p *port) Read(buf []byte) (n int, err error) {
	broken := p.raw.Read(func(fd uintptr) bool {
		n, err = unix.Read(int(fd), buf)
		if n == 0 && err == nil && !p.off {
			p.off, err = true, io.EOF
			return true
		}
		if n > 0 {
			p.off = false
		}
		return n > 0 || (err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR))
	})
	if broken != nil {
		return 0, broken
	}
	return max(n, 0), err
}

// hungUp tells whether the other side of a port is not connected.
func hungUp(raw syscall.RawConn) (is bool) {
	err := raw.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd)}}
		_, err := unix.Poll(poll, 0)
		is = err == nil && poll[0].Revents&unix.POLLHUP != 0
	})
	return is && err == nil
}

// lines reads messages, and passes over what is none.
type lines struct{ r *bufio.Reader }

func newLines(r io.Reader) lines { return lines{bufio.NewReaderSize(r, 64<<10)} }

func (l lines) next() (m message, err error) {
	for {
		line, err := l.r.ReadBytes('\n')
		if err != nil {
			return m, err
		}
		if json.Unmarshal(bytes.TrimSpace(line), &m) == nil {
			return m, nil
		}
		m = message{}
	}
}

// command is one that runs in the host.
type command struct {
	session string
	input   chan []byte // closed at the end of its input
	signals chan os.Signal
	cancel  context.CancelFunc
	closed  bool // its input
}

// inputQueue is how many messages a command may leave unread before its signals,
// too, have to wait.
const inputQueue = 1024

// begin starts a command. It tells how it ended unless it is ended from here.
func begin(out *sender, s *start) *command {
	ctx, cancel := context.WithCancel(context.Background())
	c := &command{session: out.session, input: make(chan []byte, inputQueue), signals: make(chan os.Signal, 8), cancel: cancel}
	cmd := &exec.Cmd{
		Path: s.Path, Args: s.Args, Env: s.Env, Dir: s.Dir,
		Stdout: stream{out, 1}, Stderr: stream{out, 2},
	}
	go func() {
		defer cancel()
		err := showShared(s.Show)
		if err == nil {
			err = c.run(ctx, cmd)
		}
		if ctx.Err() == nil {
			_ = out.send(message{Exit: resultOf(err)})
		}
	}()
	return c
}

func (c *command) run(ctx context.Context, cmd *exec.Cmd) error {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	go feedTo(stdin, c.input)
	runtime.LockOSThread() // the command dies with its thread
	defer runtime.UnlockOSThread()
	return runInScope(ctx, cmd, "/sys/fs/cgroup", c.signals)
}

func resultOf(err error) *exit {
	if err == nil {
		return &exit{}
	}
	if ended, ran := err.(*ExitError); ran {
		return &exit{ExitError: *ended}
	}
	return &exit{Failed: err.Error()}
}

// feedTo goes on reading when nobody takes it any more.
func feedTo(stdin io.WriteCloser, input <-chan []byte) {
	for data := range input {
		_, _ = stdin.Write(data)
	}
	_ = stdin.Close()
}

// take handles a message to a command.
func (c *command) take(m message) {
	switch {
	case m.Signal != 0:
		select {
		case c.signals <- m.Signal:
		default: // it has ended, or has more to do already than one would ask twice
		}
	case m.End:
		c.endInput()
	case !c.closed:
		c.input <- m.Data
	}
}

func (c *command) endInput() {
	if !c.closed {
		c.closed = true
		close(c.input)
	}
}

// hangUpDelay is how much later than what the next user sends the news may come that
// the last one has left: the driver learns of the two in different ways.
const hangUpDelay = 2 * time.Second

// endIf ends a command, if there is one and what is asked soon is true.
func (c *command) endIf(gone func() bool) {
	if c == nil {
		return
	}
	time.AfterFunc(hangUpDelay, func() {
		if gone() {
			c.cancel()
		}
	})
}

// end ends a command, if there is one, that nobody waits for any more.
func (c *command) end() {
	if c != nil {
		c.cancel()
		c.endInput()
	}
}
