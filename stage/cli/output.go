package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/report"
	"github.com/prologin/rig/stage/view"
)

// output is where the events of a command go.
type output struct {
	mu   sync.Mutex
	view *view.View // guarded by mu

	recorder report.Recorder
	lines    func(stage.Event)
	seq      int    // of the last event that they and the recorder had
	verdict  string // error of the last run
	files    []*os.File
	failed   error // of the JSON lines
}

// openOutput opens the files that are written meanwhile, and looks whether there is a place
// for those that are written in the end, before anything is done.
func (c *Command) openOutput() error {
	o := &output{}
	var errs []error
	for _, f := range []struct{ name, file string }{{"report", c.Report}, {"junit", c.JUnit}, {"trace", c.Trace}} {
		if err := hasPlace(f.file); err != nil {
			errs = append(errs, fmt.Errorf("-%s: %w", f.name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return c.program.usageError(err)
	}
	if c.JSON != "" {
		w, err := o.create(c.JSON, c.Out)
		if err != nil {
			return c.program.usageError(fmt.Errorf("-json: %w", err))
		}
		o.lines = report.Lines(w, func(err error) { o.failed = err })
	}
	c.output = o
	return nil
}

// hasPlace reports why a file of that name cannot be made.
func hasPlace(name string) error {
	if name == "" || name == "-" {
		return nil
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return fmt.Errorf("%s: %w", name, syscall.EISDIR)
	}
	info, err := os.Stat(filepath.Dir(name))
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s: %w", filepath.Dir(name), syscall.ENOTDIR)
	}
	return err
}

func (o *output) create(name string, out *os.File) (*os.File, error) {
	if name == "-" {
		return out, nil
	}
	file, err := os.Create(name)
	if err == nil {
		o.files = append(o.files, file)
	}
	return file, err
}

// event takes one event of the run.
func (c *Command) event(e stage.Event) {
	o := c.output
	o.mu.Lock()
	if o.view == nil && !c.Quiet {
		o.view = view.New(c.Messages, view.Options{Verbose: c.Verbose})
	}
	v := o.view
	o.mu.Unlock()
	if v != nil {
		v.Event(e)
	}
	o.record(e)
}

func (o *output) record(e stage.Event) {
	if o.lines != nil {
		o.lines(e)
	}
	o.recorder.Event(e)
	o.seq = e.Seq
	if e.Kind == stage.EventRunEnded {
		o.verdict = e.Err
	}
}

// Lines returns a writer to Messages for whole lines that may come at any time, such as a
// logger's: the live picture is kept out of their way. It may be used concurrently.
func (c *Command) Lines() io.Writer { return lines{c} }

type lines struct{ command *Command }

func (l lines) Write(p []byte) (int, error) {
	if v := l.command.output.showing(); v != nil {
		return v.Write(p)
	}
	return l.command.Messages.Write(p)
}

// Fd is for whoever looks whether this is a terminal.
func (l lines) Fd() uintptr { return l.command.Messages.Fd() }

// showing returns the view, or nil.
func (o *output) showing() *view.View {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.view
}

// closeView ends the live picture, so that other things can be printed.
func (c *Command) closeView() {
	o := c.output
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.view != nil {
		o.view.Close()
		o.view = nil
	}
}

// pauseView leaves the terminal to somebody else until the function that it returns is
// called. Other machines go on meanwhile.
func (c *Command) pauseView() (resume func()) {
	if v := c.output.showing(); v != nil {
		return v.Pause()
	}
	return func() {}
}

// closeOutput writes the reports. An error that the run knows nothing of is in them as if it
// were the run's: it never began, or what it did is not as it should be.
func (c *Command) closeOutput(err error) error {
	c.closeView()
	o := c.output
	if err != nil && o.verdict == "" {
		o.record(stage.Event{Seq: o.seq + 1, Time: time.Now(), Kind: stage.EventRunEnded, Text: c.plan.Name, Err: err.Error()})
	}
	errs := []error{o.failed}
	for _, r := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{c.Report, func(w io.Writer) error { return o.recorder.HTML(w, report.Page{Plan: c.plan, Diffs: c.diffs}) }},
		{c.JUnit, o.recorder.JUnit},
		{c.Trace, o.recorder.Trace},
	} {
		if r.name == "" {
			continue
		}
		file, err := o.create(r.name, c.Out)
		if err == nil {
			err = r.write(file)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("report: %w", err))
		} else if r.name != "-" && !c.Quiet {
			fmt.Fprintf(c.Messages, "report: %s\n", r.name)
		}
	}
	for _, f := range o.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
