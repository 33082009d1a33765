package stage

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Decision is what a run would do with one stage.
type Decision struct {
	// Machine and Stage name it.
	Machine, Stage string

	// Action is "cached", "run", "skipped" or "not wanted", as in the event [EventPlanned].
	Action string

	// Why is the reason.
	Why string

	// Key is the key that its snapshot has or will have.
	Key string
}

// Preview returns what Run would do, changing nothing. It needs no lock. Without
// targets it needs no privileges either, and takes the lab's records for what is cached
// and, for a setup without one, for the base.
func (l *Lab) Preview(ctx context.Context, s Steering) ([]Decision, error) {
	tracks, err := l.tracks(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []Decision
	for _, t := range tracks {
		for _, w := range t.work {
			out = append(out, Decision{w.ref.machine, w.Name, w.action(), w.why, w.key})
		}
	}
	return out, nil
}

func (w *work) action() string {
	switch {
	case !w.wanted:
		return "not wanted"
	case w.skip != "":
		return "skipped"
	case w.run:
		return "run"
	}
	return "cached"
}

// WriteManual writes the plan as the commands that a person would type, with a prompt
// that says where. It needs neither targets nor privileges, and the same plan gives
// the same text.
func (p Plan) WriteManual(w io.Writer) error { return p.writeManual(w, nil) }

// WritePlan writes the manual of what Run would do, saying of each stage whether it
// runs, and why.
func (l *Lab) WritePlan(ctx context.Context, w io.Writer, s Steering) error {
	decisions, err := l.Preview(ctx, s)
	if err != nil {
		return err
	}
	notes := map[string]string{}
	for _, d := range decisions {
		note := d.Action
		if d.Why != "" {
			note += ": " + d.Why
		}
		notes[d.Machine+"/"+d.Stage] = note
	}
	return l.plan.writeManual(w, notes)
}

func (p Plan) writeManual(w io.Writer, notes map[string]string) error {
	var b strings.Builder
	for i, s := range p.Setups {
		if i > 0 {
			b.WriteByte('\n')
		}
		title := fmt.Sprintf("%s: %d stages", s.Machine, len(s.Stages))
		if len(s.Stages) == 1 {
			title = s.Machine + ": 1 stage"
		}
		fmt.Fprintf(&b, "%s\n%s\n", title, strings.Repeat("=", len(title)))
		fmt.Fprintf(&b, "\nAfter each stage, a snapshot of %s is taken: %s.\n", s.Machine, s.Quiesce.manual())
		for n, st := range s.Stages {
			st.writeManual(&b, s.Machine, n+1, notes[s.Machine+"/"+st.Name])
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (st Stage) writeManual(b *strings.Builder, machine string, number int, note string) {
	title := fmt.Sprintf("%d. %s", number, st.Name)
	fmt.Fprintf(b, "\n%s\n%s\n", title, strings.Repeat("-", len(title)))
	var remarks []string
	if st.Doc != "" {
		remarks = append(remarks, st.Doc)
	}
	if st.Skip != "" {
		remarks = append(remarks, "Left out: "+st.Skip+".")
	}
	if len(st.Needs) > 0 {
		remarks = append(remarks, "After "+strings.Join(st.Needs, ", ")+".")
	}
	if note != "" {
		remarks = append(remarks, "["+note+"]")
	}
	for _, r := range remarks {
		b.WriteString(r + "\n")
	}
	if len(st.Steps) > 0 {
		b.WriteByte('\n')
	}
	for _, step := range st.Steps {
		writeLines(b, machine, step.Manual(machine))
	}
	heading := "\nThen, until it is so:\n\n"
	for _, c := range st.Checks {
		if lines := c.Manual(machine); len(lines) > 0 {
			fmt.Fprintf(b, "%s    # %s\n", heading, c)
			writeLines(b, machine, lines)
			heading = ""
		}
	}
}

func writeLines(b *strings.Builder, machine string, lines []Line) {
	for _, line := range lines {
		where := machine
		if line.Host {
			where = "host"
		}
		first, rest, more := strings.Cut(line.Text, "\n")
		fmt.Fprintf(b, "    %s# %s\n", where, first)
		if more {
			for l := range strings.Lines(rest) {
				if l != "\n" {
					b.WriteString("    ")
				}
				b.WriteString(strings.TrimSuffix(l, "\n") + "\n")
			}
		}
	}
}
