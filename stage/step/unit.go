package step

import (
	"context"
	"strings"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/internal/shell"
)

// Enable enables systemd units and, if Now is set, starts them.
type Enable struct {
	Units []string
	Now   bool
}

// Start starts systemd units.
type Start struct{ Units []string }

// Stop stops systemd units.
type Stop struct{ Units []string }

// Restart restarts systemd units.
type Restart struct{ Units []string }

// Reload makes systemd units read their configuration again.
type Reload struct{ Units []string }

// Disable disables systemd units and, if Now is set, stops them.
type Disable struct {
	Units []string
	Now   bool
}

// systemctl is the one implementation of the steps about units.
type systemctl struct {
	verb  string
	units []string
}

func (c systemctl) args() []string {
	return append(append([]string{"systemctl"}, strings.Fields(c.verb)...), c.units...)
}

func (c systemctl) String() string { return shell.Join(c.args()...) }

func (c systemctl) validate() error {
	if len(c.units) == 0 {
		return invalid("no units")
	}
	for _, u := range c.units {
		if u == "" || strings.HasPrefix(u, "-") || strings.ContainsAny(u, " \t\n/") {
			return invalid("unit %q", u)
		}
	}
	return nil
}

func (c systemctl) run(ctx context.Context, s *stage.Session) error { return run(ctx, s, c.args()...) }

func now(verb string, now bool) string {
	if now {
		return verb + " --now"
	}
	return verb
}

func (e Enable) c() systemctl  { return systemctl{now("enable", e.Now), e.Units} }
func (e Disable) c() systemctl { return systemctl{now("disable", e.Now), e.Units} }
func (e Start) c() systemctl   { return systemctl{"start", e.Units} }
func (e Stop) c() systemctl    { return systemctl{"stop", e.Units} }
func (e Restart) c() systemctl { return systemctl{"restart", e.Units} }
func (e Reload) c() systemctl  { return systemctl{"reload", e.Units} }

// String returns the systemctl command.
func (e Enable) String() string { return e.c().String() }

// Validate returns an error that matches [stage.ErrInvalid] if a unit's name is wrong.
func (e Enable) Validate() error { return e.c().validate() }

// Manual returns the systemctl command.
func (e Enable) Manual(string) []stage.Line { return typed("%s", e.c()) }

// Ingredients adds the systemctl command.
func (e Enable) Ingredients(rec *stage.Recipe) { rec.Text("command", e.c().String()) }

// Run runs systemctl in the machine.
func (e Enable) Run(ctx context.Context, s *stage.Session) error { return e.c().run(ctx, s) }

// String returns the systemctl command.
func (d Disable) String() string { return d.c().String() }

// Validate returns an error that matches [stage.ErrInvalid] if a unit's name is wrong.
func (d Disable) Validate() error { return d.c().validate() }

// Manual returns the systemctl command.
func (d Disable) Manual(string) []stage.Line { return typed("%s", d.c()) }

// Ingredients adds the systemctl command.
func (d Disable) Ingredients(rec *stage.Recipe) { rec.Text("command", d.c().String()) }

// Run runs systemctl in the machine.
func (d Disable) Run(ctx context.Context, s *stage.Session) error { return d.c().run(ctx, s) }

// String returns the systemctl command.
func (t Start) String() string { return t.c().String() }

// Validate returns an error that matches [stage.ErrInvalid] if a unit's name is wrong.
func (t Start) Validate() error { return t.c().validate() }

// Manual returns the systemctl command.
func (t Start) Manual(string) []stage.Line { return typed("%s", t.c()) }

// Ingredients adds the systemctl command.
func (t Start) Ingredients(rec *stage.Recipe) { rec.Text("command", t.c().String()) }

// Run runs systemctl in the machine.
func (t Start) Run(ctx context.Context, s *stage.Session) error { return t.c().run(ctx, s) }

// String returns the systemctl command.
func (t Stop) String() string { return t.c().String() }

// Validate returns an error that matches [stage.ErrInvalid] if a unit's name is wrong.
func (t Stop) Validate() error { return t.c().validate() }

// Manual returns the systemctl command.
func (t Stop) Manual(string) []stage.Line { return typed("%s", t.c()) }

// Ingredients adds the systemctl command.
func (t Stop) Ingredients(rec *stage.Recipe) { rec.Text("command", t.c().String()) }

// Run runs systemctl in the machine.
func (t Stop) Run(ctx context.Context, s *stage.Session) error { return t.c().run(ctx, s) }

// String returns the systemctl command.
func (r Restart) String() string { return r.c().String() }

// Validate returns an error that matches [stage.ErrInvalid] if a unit's name is wrong.
func (r Restart) Validate() error { return r.c().validate() }

// Manual returns the systemctl command.
func (r Restart) Manual(string) []stage.Line { return typed("%s", r.c()) }

// Ingredients adds the systemctl command.
func (r Restart) Ingredients(rec *stage.Recipe) { rec.Text("command", r.c().String()) }

// Run runs systemctl in the machine.
func (r Restart) Run(ctx context.Context, s *stage.Session) error { return r.c().run(ctx, s) }

// String returns the systemctl command.
func (r Reload) String() string { return r.c().String() }

// Validate returns an error that matches [stage.ErrInvalid] if a unit's name is wrong.
func (r Reload) Validate() error { return r.c().validate() }

// Manual returns the systemctl command.
func (r Reload) Manual(string) []stage.Line { return typed("%s", r.c()) }

// Ingredients adds the systemctl command.
func (r Reload) Ingredients(rec *stage.Recipe) { rec.Text("command", r.c().String()) }

// Run runs systemctl in the machine.
func (r Reload) Run(ctx context.Context, s *stage.Session) error { return r.c().run(ctx, s) }
