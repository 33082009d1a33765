package archtest

import (
	"strings"
	"sync"
)

// Event is one step of starting a mirror, for a progress display.
type Event struct {
	// Phase is "wait" while another process builds the same mirror, "debian" while
	// the Debian tree is made, "packages" while Arch packages are written, and
	// "serve" at the end.
	Phase string
	// Message is one line for people.
	Message string
	// Done and Total count packages in phase "packages" and are 0 in others.
	Done, Total int
}

// progress hands events on, one at a time.
type progress struct {
	mu   sync.Mutex
	opts Options
}

func (p *progress) report(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opts.Logger.Info("archtest: "+e.Message, "phase", e.Phase)
	if p.opts.Progress != nil {
		p.opts.Progress(e)
	}
}

// debianLine makes an event of what mmdebstrap says about itself and of each
// package that dpkg sets up, and leaves the rest to the debug log.
func (p *progress) debianLine(line string) {
	text, ok := strings.CutPrefix(line, "I: ")
	if !ok {
		text, ok = line, strings.HasPrefix(line, "Setting up ")
	}
	if ok && !strings.Contains(text, "--customize-hook") {
		p.report(Event{Phase: "debian", Message: strings.TrimRight(text, ". ")})
		return
	}
	p.opts.Logger.Debug(line, "phase", "debian")
}
