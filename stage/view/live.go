package view

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/internal/human"
)

// refresh is how often the picture moves when nothing happens.
const refresh = 120 * time.Millisecond

// live keeps a picture of all machines at the bottom of a terminal, below the lines
// that a plain view would print.
type live struct {
	w       io.Writer
	size    func() (cols, rows int)
	verbose bool
	paint   painter

	mu       sync.Mutex
	lab      string
	begin    time.Time
	machines []*row
	drawn    []int // widths of the picture's lines on the screen
	frame    int
	paused   bool
	closed   bool
	stop     chan struct{}
	ended    chan struct{}
}

// row is one machine in the picture.
type row struct {
	name    string
	stages  []cell
	doing   string
	since   time.Time
	output  string
	waiting string // for a stage of another machine
	failed  bool
	busy    bool
}

type cell struct {
	name  string
	state byte // which sign of marks it has
}

func newLive(w io.Writer, size func() (int, int), verbose bool, paint painter) *live {
	l := &live{w: w, size: size, verbose: verbose, paint: paint, stop: make(chan struct{}), ended: make(chan struct{})}
	go l.animate()
	return l
}

func (l *live) animate() {
	defer close(l.ended)
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.mu.Lock()
			l.frame++
			l.redraw("")
			l.mu.Unlock()
		}
	}
}

func (l *live) close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	io.WriteString(l.w, l.erase())
	l.mu.Unlock()
	close(l.stop)
	<-l.ended
}

func (l *live) event(e stage.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.note(e)
	// Output moves the picture with the next frame, however much of it there is.
	if line := describe(e, l.verbose, l.paint); line != "" {
		l.redraw(line)
	}
}

// print prints whole lines above the picture, or where it was.
func (l *live) print(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		io.WriteString(l.w, text)
		return
	}
	l.redraw(strings.TrimSuffix(text, "\n"))
}

func (l *live) row(name string) *row {
	for _, r := range l.machines {
		if r.name == name {
			return r
		}
	}
	r := &row{name: name}
	l.machines = append(l.machines, r)
	return r
}

// note takes an event into the picture.
func (l *live) note(e stage.Event) {
	if e.Kind == stage.EventRunStarted {
		l.lab, l.begin, l.machines = e.Text, e.Time, nil
	}
	if e.Machine == "" {
		return
	}
	r := l.row(e.Machine)
	do := func(what string) { r.doing, r.since, r.busy, r.output = what, e.Time, true, "" }
	switch e.Kind {
	case stage.EventPlanned:
		state := map[string]byte{"cached": 'c', "skipped": 's', "not wanted": 'n', "run": ' '}[e.Text]
		r.stages = append(r.stages, cell{e.Stage, state})
	case stage.EventRestoring:
		do("restoring " + restoredTo(e))
	case stage.EventMachineStarting:
		do("starting")
	case stage.EventMachineStarted, stage.EventRestored, stage.EventMachineStopped:
		r.busy = false
	case stage.EventStageStarted:
		r.set(e.Stage, 'r')
		do(e.Stage)
	case stage.EventStepStarted:
		r.doing = fmt.Sprintf("%s %d/%d %s", e.Stage, e.Index, e.Total, e.Text)
	case stage.EventOutput:
		r.output = e.Text
	case stage.EventCheckWaiting:
		r.doing, r.output, r.busy = e.Stage+" until "+e.Text, oneLine(e.Err), true
	case stage.EventSaving:
		r.doing, r.output = e.Stage+" saving", ""
	case stage.EventStageWaiting:
		r.waiting, r.busy = e.Text, false
	case stage.EventStageBlocked:
		r.set(e.Stage, 'f')
		r.failed, r.busy = true, false
	case stage.EventStageEnded:
		r.busy, r.output = false, ""
		if e.Err != "" {
			r.set(e.Stage, 'f')
			r.failed = true
			return
		}
		r.set(e.Stage, 'd')
	}
}

func (r *row) set(stage string, state byte) {
	for i := range r.stages {
		if r.stages[i].name == stage {
			r.stages[i].state = state
		}
	}
}

// erase returns what removes the picture and leaves the cursor where it began. A
// terminal that became narrower has broken the lines that no longer fit.
func (l *live) erase() string {
	if len(l.drawn) == 0 {
		return ""
	}
	cols, _ := l.size()
	rows := 0
	for _, w := range l.drawn {
		rows += max(1, (w+cols-1)/max(1, cols))
	}
	l.drawn = l.drawn[:0]
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", rows)
}

// pause removes the picture until it is called with false.
func (l *live) pause(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if on && !l.closed {
		io.WriteString(l.w, l.erase())
	}
	l.paused = on
	l.redraw("")
}

// redraw prints a line above the picture and the picture anew, in one write so that
// it does not flicker.
func (l *live) redraw(line string) {
	if l.closed || l.paused {
		return
	}
	var b strings.Builder
	b.WriteString(l.erase())
	if line != "" {
		b.WriteString(line + "\n")
	}
	cols, rows := l.size()
	for _, text := range l.picture(cols, rows, time.Now()) {
		b.WriteString(text + "\n")
		l.drawn = append(l.drawn, shown(text))
	}
	io.WriteString(l.w, b.String())
}

// picture returns the lines to draw. None is wider than the terminal, and together
// they leave room for the line above.
func (l *live) picture(cols, rows int, now time.Time) []string {
	if len(l.machines) == 0 || cols < 10 || rows < 5 {
		return nil
	}
	names := 0
	for _, r := range l.machines {
		names = max(names, min(width(r.name), cols/4))
	}
	var out []string
	for _, r := range l.machines {
		out = append(out, l.line(r, names, cols-1, now))
		if r.busy && r.output != "" && len(l.machines) <= rows/3 {
			out = append(out, l.paint.dim(fit(strings.Repeat(" ", names+3)+r.output, cols-1)))
		}
	}
	if room := rows - 4; len(out) > room+1 {
		more := fmt.Sprintf("… and %d more", len(out)-room)
		out = append(out[:room], l.paint.dim(fit(more, cols-1)))
	}
	total := fmt.Sprintf("%s %s", l.lab, human.Duration(now.Sub(l.begin).Truncate(time.Second)))
	return append(out, l.paint.dim(fit(total, cols-1)))
}

// line draws one machine: what it does, since when, and its stages as marks.
func (l *live) line(r *row, names, cols int, now time.Time) string {
	sign, color := " ", l.paint.dim
	text := ""
	switch {
	case r.failed:
		sign, color = "✗", l.paint.bad
		text = "failed"
	case r.busy:
		sign, color = string([]rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[l.frame%10]), l.paint.busy
		text = human.Duration(now.Sub(r.since).Truncate(time.Second)) + " " + r.doing
	case r.done():
		sign, color = "✓", l.paint.good
	default:
		text = strings.TrimSuffix("waiting for "+r.waiting, " for ")
	}
	marks := r.marks((cols - names) / 3)
	left := color(sign) + " " + l.paint.bold(pad(r.name, names)) + " "
	room := cols - names - 3 - width(marks) - 1
	return left + marks + " " + fit(text, room)
}

func (r *row) done() bool {
	for _, c := range r.stages {
		if c.state == ' ' || c.state == 'r' {
			return false
		}
	}
	return true
}

// marks shows one sign for each stage, or counts where there is no room for that.
func (r *row) marks(room int) string {
	signs := map[byte]rune{'c': '=', 's': '-', 'n': '-', ' ': '·', 'r': '>', 'd': '#', 'f': '!'}
	if len(r.stages) <= room {
		var b strings.Builder
		for _, c := range r.stages {
			b.WriteRune(signs[c.state])
		}
		return b.String()
	}
	done := 0
	for _, c := range r.stages {
		if c.state != ' ' && c.state != 'r' && c.state != 'f' {
			done++
		}
	}
	return fmt.Sprintf("%d/%d", done, len(r.stages))
}
