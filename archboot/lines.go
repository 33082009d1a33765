package archboot

import (
	"bytes"
	"strings"
)

// tailLines is how many lines an Error quotes.
const tailLines = 12

// A tail keeps the last lines that a program printed.
type tail struct{ lines []string }

func (t *tail) add(line string) {
	if len(t.lines) == tailLines {
		copy(t.lines, t.lines[1:])
		t.lines = t.lines[:tailLines-1]
	}
	t.lines = append(t.lines, line)
}

// Write takes a piece of output as lines.
func (t *tail) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		t.add(strings.TrimRight(line, "\n"))
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.Join(t.lines, "; ") }

// lineLimit bounds what a program without line breaks makes us remember.
const lineLimit = 4096

// A lineWriter cuts output into lines, without line ends, blanks at the end and
// empty lines.
type lineWriter struct {
	line    func(string)
	pending []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexAny(p, "\n\r")
		if i < 0 {
			break
		}
		w.pending = append(w.pending, p[:i]...)
		w.flush()
		p = p[i+1:]
	}
	w.pending = append(w.pending, p...)
	if len(w.pending) > lineLimit {
		w.flush()
	}
	return n, nil
}

// flush passes on a last line that has no end.
func (w *lineWriter) flush() {
	if s := strings.TrimRight(string(w.pending), " \t"); s != "" {
		w.line(s)
	}
	w.pending = w.pending[:0]
}
