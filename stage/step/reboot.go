package step

import (
	"context"
	"fmt"

	"github.com/prologin/rig/stage"
)

// Reboot powers the machine off and starts it again.
type Reboot struct{}

// String returns "reboot".
func (Reboot) String() string { return "reboot" }

// Manual returns the same as a command on the host.
func (Reboot) Manual(machine string) []stage.Line {
	return []stage.Line{{Host: true, Text: fmt.Sprintf("machinectl poweroff %[1]s && machinectl start %[1]s", machine)}}
}

// Ingredients adds nothing but that it is there.
func (Reboot) Ingredients(r *stage.Recipe) { r.Text("command", "reboot") }

// Run restarts the machine and returns when it is ready.
func (Reboot) Run(ctx context.Context, s *stage.Session) error { return s.Restart(ctx) }
