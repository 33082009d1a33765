package prolo

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progress shows how far something long has come: on one line of a terminal,
// elsewhere on a line of its own each few seconds.
type progress struct {
	out   io.Writer
	width int // 0 where out is no terminal
	start time.Time
	shown time.Time
}

// plainInterval keeps logs short.
const plainInterval = 5 * time.Second

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, start: time.Now()}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.width, _, _ = term.GetSize(int(f.Fd()))
	}
	return p
}

func (p *progress) show(what, message string) {
	if p.width == 0 && time.Since(p.shown) < plainInterval {
		return
	}
	p.shown = time.Now()
	line := fmt.Sprintf("%s: %3.0fs %s", what, time.Since(p.start).Seconds(), message)
	if p.width == 0 {
		fmt.Fprintln(p.out, line)
		return
	}
	if len(line) >= p.width {
		line = line[:p.width-1]
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", line)
}

// done clears the line.
func (p *progress) done() {
	if p.width > 0 {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
