package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// relay is run by bash in the machine: it connects and copies both ways until the far end
// is done. Its first byte says that the connection stands; anything else is the reason
// why it does not. Bash would give a command in the background no input of its own.
const relay = `{ exec 3<>"/dev/$1/$2/$3"; } 2>&1 || exit 1
printf +; cat <&0 >&3 2>/dev/null & cat <&3 2>/dev/null; kill $! 2>/dev/null; :`

// Dial connects from inside the machine, with the machine's own resolver, so that any
// client of the standard library can look from there. Network is "tcp" or "udp". The
// connection is carried by a command, hence the machine needs bash and cat; the end
// of ctx closes it.
func (s *Session) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: insideAddr{network, address}, Err: err}
	}
	proto := strings.TrimRight(network, "46")
	if proto != "tcp" && proto != "udp" {
		return fail(net.UnknownNetworkError(network))
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fail(err)
	}
	// A file, so that the command can end while its input is open: the far end may hang
	// up first, and only the command's end tells of it.
	stdin, toMachine, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	fromMachine, stdout := io.Pipe()
	c := &insideConn{r: fromMachine, w: toMachine, addr: insideAddr{network, address}, ended: make(chan struct{})}
	c.cancel = func() { cancel(net.ErrClosed) }
	// A machine that is no command of this host may wait for its input to end.
	stop := context.AfterFunc(ctx, func() {
		toMachine.Close()
		stdout.CloseWithError(context.Cause(ctx))
	})
	go func() {
		defer close(c.ended)
		defer stop()
		err := s.target.Machine.Exec(ctx, Command{
			Args:  []string{"bash", "-c", relay, "dial", proto, host, port},
			Stdin: stdin, Stdout: stdout,
		})
		if err == nil {
			err = io.EOF
		}
		stdout.CloseWithError(err)
		stdin.Close()
	}()
	if err := c.established(ctx); err != nil {
		c.Close()
		return fail(err)
	}
	return c, nil
}

// established waits for the relay's first byte. If it says no, nothing must wait for
// its standard input to end, which only the caller could end.
func (c *insideConn) established(ctx context.Context) error {
	first := make([]byte, 1)
	_, err := io.ReadFull(c.r, first)
	if err == nil && first[0] == '+' {
		return nil
	}
	if err == nil {
		c.w.Close()
		reason, _ := io.ReadAll(io.LimitReader(c.r, 1<<10))
		return errors.New(lastField(string(first) + string(reason)))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// lastField returns what bash says is wrong: "bash: connect: Connection refused" and
// a second, less helpful line.
func lastField(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.ToLower(strings.TrimSpace(line[strings.LastIndex(line, ": ")+1:]))
}

// insideAddr is the address of the far end.
type insideAddr struct{ network, address string }

func (a insideAddr) Network() string { return a.network }
func (a insideAddr) String() string  { return a.address }

// insideConn is a connection carried by a command in a machine. Deadlines end it as
// a whole, which is enough for clients that ask once.
type insideConn struct {
	r      *io.PipeReader
	w      *os.File
	addr   insideAddr
	cancel func()
	ended  chan struct{}

	expired atomic.Bool

	mu       sync.Mutex
	deadline *time.Timer
}

func (c *insideConn) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	return n, c.reason(err)
}

func (c *insideConn) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	return n, c.reason(err)
}

// reason says that it was the deadline that closed the connection, if so.
func (c *insideConn) reason(err error) error {
	if err != nil && c.expired.Load() {
		return fmt.Errorf("%s: %w", c.addr.address, os.ErrDeadlineExceeded)
	}
	return err
}

// Close ends the command and waits for it.
func (c *insideConn) Close() error {
	c.SetDeadline(time.Time{})
	c.w.Close()
	c.r.Close()
	c.cancel()
	<-c.ended
	return nil
}

func (c *insideConn) LocalAddr() net.Addr  { return insideAddr{c.addr.network, "inside"} }
func (c *insideConn) RemoteAddr() net.Addr { return c.addr }

// SetDeadline makes reads and writes fail from then on, for good.
func (c *insideConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline != nil {
		c.deadline.Stop()
		c.deadline = nil
	}
	if !t.IsZero() {
		c.deadline = time.AfterFunc(time.Until(t), c.expire)
	}
	return nil
}

func (c *insideConn) expire() {
	c.expired.Store(true)
	c.r.Close()
	c.w.Close()
	c.cancel()
}

func (c *insideConn) SetReadDeadline(t time.Time) error  { return c.SetDeadline(t) }
func (c *insideConn) SetWriteDeadline(t time.Time) error { return c.SetDeadline(t) }
