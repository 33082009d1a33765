package stage

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	tailLines   = 20       // kept for errors
	maxLine     = 64 << 10 // longer lines are cut in pieces
	maxTailLine = 400      // longer lines are cut in errors and events
)

// output takes what a stage's commands print: the whole of it goes to a file, each
// line to the events, the last ones are kept. Its memory is bounded. It may be used
// concurrently.
type output struct {
	redact func([]byte) []byte
	line   func(string)

	mu   sync.Mutex
	file *os.File
	name string
	part []byte
	tail []string
	err  error
}

// newOutput creates the named log file, which an empty name leaves out.
func newOutput(name string, redact func([]byte) []byte, line func(string)) (*output, error) {
	o := &output{redact: redact, line: line, name: name}
	if name == "" {
		return o, nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	var err error
	o.file, err = os.Create(name)
	return o, err
}

// Write never fails: a full disk must not look like a fault of the command. Close
// returns what went wrong.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n') + 1
		whole := i > 0
		if !whole {
			i = min(len(p), maxLine-len(o.part))
		}
		o.part = append(o.part, p[:i]...)
		p = p[i:]
		if whole || len(o.part) >= maxLine {
			o.flush()
		}
	}
	return n, nil
}

func (o *output) flush() {
	if len(o.part) == 0 {
		return
	}
	line := o.redact(o.part)
	if o.file != nil {
		if _, err := o.file.Write(line); err != nil && o.err == nil {
			o.err = err
		}
	}
	o.part = o.part[:0]
	text := printable(line)
	if text == "" {
		return
	}
	if len(o.tail) == tailLines {
		o.tail = append(o.tail[:0], o.tail[1:]...)
	}
	o.tail = append(o.tail, text)
	if o.line != nil {
		o.line(text)
	}
}

// last returns the last lines printed since the previous call.
func (o *output) last() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	tail := o.tail
	o.tail = nil
	return tail
}

// Close writes an unfinished line and closes the file.
func (o *output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	if o.file != nil {
		if err := o.file.Close(); o.err == nil {
			o.err = err
		}
		o.file = nil
	}
	return o.err
}

var _ io.WriteCloser = (*output)(nil)

// printable returns one line as it is safe to show on a terminal: without escape
// sequences, control characters and what is no UTF-8, and of a bounded length. What
// follows the last carriage return replaces what came before it.
func printable(line []byte) string {
	line = bytes.TrimRight(line, "\r\n")
	if i := bytes.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	var b strings.Builder
	for len(line) > 0 && b.Len() < maxTailLine {
		if n := escapeLen(line); n > 0 {
			line = line[n:]
			continue
		}
		r, n := utf8.DecodeRune(line)
		line = line[n:]
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError && n == 1, !unicode.IsPrint(r):
			b.WriteRune('·')
		default:
			b.WriteRune(r)
		}
	}
	if len(line) > 0 {
		b.WriteString("…")
	}
	return strings.TrimRight(b.String(), " ")
}

// visible is printable for several lines.
func visible(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable([]byte(line))
	}
	return strings.Join(lines, "\n")
}

// escapeLen returns the length of the terminal control sequence (ECMA-48) that b
// begins with, or 0.
func escapeLen(b []byte) int {
	if len(b) < 2 || b[0] != 0x1b {
		return 0
	}
	switch b[1] {
	case '[':
		for i := 2; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				return i + 1
			}
		}
		return len(b)
	case ']': // ends with BEL or ESC \
		for i := 2; i < len(b); i++ {
			if b[i] == 0x07 {
				return i + 1
			}
			if b[i] == 0x1b {
				return min(i+2, len(b))
			}
		}
		return len(b)
	}
	return 2
}
