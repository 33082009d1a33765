package qemu

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
)

// console collects what a machine writes and wakes those who wait for it.
type console struct {
	mu      sync.Mutex
	copy    io.Writer
	escapes escapes
	text    []byte // what can be read
	seen    int    // up to where has been waited for
	more    chan struct{}
	closed  bool
}

func newConsole(copy io.Writer) *console {
	if copy == nil {
		copy = io.Discard
	}
	return &console{copy: copy, more: make(chan struct{})}
}

// Write never fails: what cannot be copied must not stop the machine.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.copy.Write(p)
	c.text = c.escapes.strip(c.text, p)
	c.wake()
	return len(p), nil
}

func (c *console) wake() {
	close(c.more)
	c.more = make(chan struct{})
}

func (c *console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.wake()
}

func (c *console) expect(ctx context.Context, text string) error {
	for {
		c.mu.Lock()
		at, more, closed := bytes.Index(c.text[c.seen:], []byte(text)), c.more, c.closed
		if at >= 0 {
			c.seen += at + len(text)
		}
		c.mu.Unlock()
		switch {
		case at >= 0:
			return nil
		case closed:
			return fmt.Errorf("the virtual machine ended before it wrote %q; its last lines:\n%s", text, c.tail())
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("the virtual machine did not write %q: %w; its last lines:\n%s", text, context.Cause(ctx), c.tail())
		}
	}
}

// tail is the last lines that say something.
func (c *console) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for line := range strings.Lines(string(c.text)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// escapes leaves out ECMA-48 control sequences and control characters, also those
// that come in pieces.
type escapes struct{ state byte }

func (e *escapes) strip(to, from []byte) []byte {
	for _, b := range from {
		switch {
		case b == 0x1b:
			e.state = b
		case e.state == 0x1b && b == '[':
			e.state = '['
		case e.state == 0x1b:
			e.state = 0
		case e.state == '[':
			if b >= 0x40 && b <= 0x7e {
				e.state = 0
			}
		case b == '\n' || b >= 0x20:
			to = append(to, b)
		}
	}
	return to
}
