package lab

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/term"
)

// progress shows how far something long has come: on one line of a terminal,
// elsewhere on a line of its own each few seconds.
type progress struct {
	out   io.Writer
	what  string
	width int // 0 where out is no terminal
	start time.Time
	shown time.Time
}

// plainInterval keeps logs short.
const plainInterval = 5 * time.Second

func newProgress(out io.Writer, what string) *progress {
	p := &progress{out: out, what: what, start: time.Now()}
	if f, ok := out.(interface{ Fd() uintptr }); ok && term.IsTerminal(int(f.Fd())) {
		p.width, _, _ = term.GetSize(int(f.Fd()))
	}
	return p
}

func (p *progress) show(message string) {
	if p.width == 0 && time.Since(p.shown) < plainInterval {
		return
	}
	p.shown = time.Now()
	line := fmt.Sprintf("%s: %3.0f s  %s", p.what, time.Since(p.start).Seconds(), message)
	if p.width == 0 {
		fmt.Fprintln(p.out, line)
		return
	}
	if len(line) >= p.width {
		line = line[:p.width-1]
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", line)
}

// done replaces the line by one that says how long all took. What took no time
// to speak of is not mentioned.
func (p *progress) done() {
	if p.width > 0 {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	if took := time.Since(p.start); took >= time.Second {
		fmt.Fprintf(p.out, "%s: done in %.0f s\n", p.what, took.Seconds())
	}
}
