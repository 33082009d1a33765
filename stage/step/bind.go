package step

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/internal/shell"
)

// Bind makes a file or directory of the host visible in the machine, from this stage on
// and whenever a snapshot of this stage or of a later one is restored. The machine must
// be a [stage.Binder]; it is started again for it, once for all the binds of a stage.
type Bind struct {
	// From is a file or directory of the host.
	From string

	// To is the absolute path at which it is seen.
	To string

	// ReadOnly forbids writing through To.
	ReadOnly bool

	// Live leaves the content out of the stage's key, for what may change under the
	// machine, such as a device, or a checkout that is being worked on.
	Live bool
}

// String names both ends.
func (b Bind) String() string { return fmt.Sprintf("bind %s to %s%s", b.From, b.To, b.remark()) }

func (b Bind) remark() string {
	if b.ReadOnly {
		return ", read-only"
	}
	return ""
}

// Validate returns an error that matches [stage.ErrInvalid] if a field is wrong.
func (b Bind) Validate() error {
	if b.From == "" {
		return invalid("nothing to bind")
	}
	if filepath.Clean(b.To) == "/" {
		return invalid("target %q is the root", b.To)
	}
	return absolute("target", b.To)
}

// Manual returns the bind as machinectl does it, on the host.
func (b Bind) Manual(machine string) []stage.Line {
	option := ""
	if b.ReadOnly {
		option = " --read-only"
	}
	return []stage.Line{{Host: true, Text: fmt.Sprintf("machinectl bind --mkdir%s %s %s %s", option, machine, shell.Quote(b.From), shell.Quote(b.To))}}
}

// Binding returns what is bound.
func (b Bind) Binding() stage.Bind {
	from, err := filepath.Abs(b.From)
	if err != nil { // there is no working directory: Run will say so
		from = b.From
	}
	return stage.Bind{From: from, To: filepath.Clean(b.To), ReadOnly: b.ReadOnly}
}

// Ingredients adds both ends and, unless Live is set, content and modes.
func (b Bind) Ingredients(r *stage.Recipe) {
	r.Text("source", b.From)
	r.Text("target", b.To+b.remark())
	if !b.Live {
		r.Content("content", b.From)
	}
}

// Run starts the machine again with the bind.
func (b Bind) Run(ctx context.Context, s *stage.Session) error {
	if _, err := os.Stat(b.From); err != nil {
		return errors.Join(errors.New("nothing to bind"), err)
	}
	return s.Bind(ctx, b.Binding())
}
