// Package view shows a run's events to people: as lines, or as a live picture of all
// machines where there is a terminal.
package view

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/internal/human"
)

// Options says how to show events.
type Options struct {
	// Verbose shows the output of commands and every check and step.
	Verbose bool
}

// View shows events. Its method Event fits in [stage.Options]. It may be used concurrently.
type View struct {
	live  *live
	plain *plain

	mu     sync.Mutex
	held   []func() // what is shown when the pause is over
	busy   bool     // somebody else has the terminal
	closed bool
}

// New returns a View that shows a live picture on f if that is a terminal that can
// move its cursor, and prints lines otherwise. It is without colours where the variable
// NO_COLOR is set to anything, see https://no-color.org. Close must be called at the end.
func New(f *os.File, o Options) *View {
	terminal := isTerminal(f) && os.Getenv("TERM") != "dumb"
	if !terminal {
		return Lines(f, o)
	}
	color := os.Getenv("NO_COLOR") == ""
	return &View{live: newLive(f, func() (int, int) { return size(f) }, o.Verbose, painter(color))}
}

// Lines returns a View that prints lines to w, without colours.
func Lines(w io.Writer, o Options) *View {
	return &View{plain: &plain{w: w, verbose: o.Verbose, paint: painter(false)}}
}

// Event shows one event.
func (v *View) Event(e stage.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closed:
	case !v.busy:
		v.show(e)
	case e.Kind != stage.EventOutput: // of which there may be any amount
		v.held = append(v.held, func() { v.show(e) })
	}
}

// Write prints whole lines of somebody else, such as a logger's, above the live picture. It
// fits in [log/slog.NewTextHandler].
func (v *View) Write(lines []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	text := string(lines)
	if v.busy {
		v.held = append(v.held, func() { v.print(text) })
	} else {
		v.print(text)
	}
	return len(lines), nil
}

func (v *View) print(text string) {
	if v.live != nil {
		v.live.print(text)
		return
	}
	io.WriteString(v.plain.w, text)
}

// Pause leaves the terminal to somebody else, such as a shell, until resume is called.
// What happens meanwhile and is written is shown then, except for the output of commands.
func (v *View) Pause() (resume func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.busy = true
	if v.live != nil {
		v.live.pause(true)
	}
	return sync.OnceFunc(v.resume)
}

func (v *View) resume() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.busy = false
	if v.live != nil {
		v.live.pause(false)
	}
	for _, show := range v.held {
		show()
	}
	v.held = nil
}

func (v *View) show(e stage.Event) {
	if v.live != nil {
		v.live.event(e)
		return
	}
	v.plain.event(e)
}

// Close removes the live picture and leaves the lines. The View shows no events after it.
func (v *View) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	if v.live != nil {
		v.live.close()
	}
}

// painter colours text, or does nothing.
type painter bool

func (p painter) code(code, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[m"
}

func (p painter) good(s string) string { return p.code("32", s) }
func (p painter) bad(s string) string  { return p.code("1;31", s) }
func (p painter) busy(s string) string { return p.code("33", s) }
func (p painter) dim(s string) string  { return p.code("2", s) }
func (p painter) bold(s string) string { return p.code("1", s) }

// plain prints one line for each event that is worth it.
type plain struct {
	w       io.Writer
	verbose bool
	paint   painter
}

func (p *plain) event(e stage.Event) {
	if line := describe(e, p.verbose, p.paint); line != "" {
		fmt.Fprintln(p.w, line)
	}
}

// describe returns an event as a line, or "" if it is not worth one.
func describe(e stage.Event, verbose bool, p painter) string {
	at := e.Machine
	if e.Stage != "" {
		at += "/" + e.Stage
	}
	line := func(text string, args ...any) string { return p.bold(at) + ": " + fmt.Sprintf(text, args...) }
	switch e.Kind {
	case stage.EventWaiting:
		return e.Text
	case stage.EventNote:
		if at == "" {
			return p.busy("note") + ": " + e.Text
		}
		return line("%s: %s", p.busy("note"), e.Text)
	case stage.EventPlanned:
		if e.Text == "skipped" {
			return line("%s (%s)", p.dim("skipped"), e.Why)
		}
	case stage.EventRestored:
		if e.Err == "" {
			return p.bold(e.Machine) + ": restored " + restoredTo(e) + " in " + human.Duration(e.Elapsed)
		}
	case stage.EventMachineStarted:
		return line("started in %s", human.Duration(e.Elapsed))
	case stage.EventStageStarted:
		return line("%s", because(e.Why))
	case stage.EventStageEnded:
		if e.Err == "" {
			return line("%s in %s", p.good("done"), human.Duration(e.Elapsed))
		}
		return line("%s after %s", p.bad("failed"), human.Duration(e.Elapsed))
	case stage.EventStageBlocked:
		return line("%s: %s", p.bad("not tried"), e.Err)
	case stage.EventCheckFailed:
		return line("%s: %s; seen instead: %s", p.bad("check failed"), e.Text, oneLine(e.Err))
	case stage.EventRunEnded:
		if e.Err != "" {
			return fmt.Sprintf("%s: %s after %s", p.bold(e.Text), p.bad("failed"), human.Duration(e.Elapsed))
		}
		return fmt.Sprintf("%s: %s in %s", p.bold(e.Text), p.good("done"), human.Duration(e.Elapsed))
	}
	if verbose {
		return detail(e, line, p)
	}
	return ""
}

// detail describes what only a verbose view shows.
func detail(e stage.Event, line func(string, ...any) string, p painter) string {
	switch e.Kind {
	case stage.EventMachineStopped:
		return line("stopped in %s", human.Duration(e.Elapsed))
	case stage.EventStepStarted:
		return line("step %d/%d: %s", e.Index, e.Total, e.Text)
	case stage.EventOutput:
		return line("%s %s", p.dim("|"), e.Text)
	case stage.EventStageWaiting:
		return line("waiting for %s", e.Text)
	case stage.EventCheckWaiting:
		return line("waiting until %s; now: %s", e.Text, oneLine(e.Err))
	case stage.EventCheckPassed:
		return line("%s, after %s", e.Text, human.Duration(e.Elapsed))
	case stage.EventSaved:
		if e.Err == "" {
			return line("saved while %s in %s", e.Why, human.Duration(e.Elapsed))
		}
	}
	return ""
}

func restoredTo(e stage.Event) string {
	switch {
	case e.Stage != "":
		return "as after " + e.Stage
	case strings.HasPrefix(e.Text, "base"):
		return "the base"
	}
	return e.Text
}

func because(why string) string {
	if why == "" {
		return "runs"
	}
	return "runs: " + why
}

// oneLine returns the first line of a text.
func oneLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
