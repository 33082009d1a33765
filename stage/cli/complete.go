package cli

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/prologin/rig/stage"
)

// complete prints what the last word of a command line may become, as bash's
// "complete -C" wants it.
func (p *Program) complete(w io.Writer, line string) {
	words := strings.Fields(line)
	last, before := "", ""
	if n := len(words); n > 1 && !strings.HasSuffix(line, " ") {
		last, before = words[n-1], words[n-2]
	} else if n > 0 {
		before = words[n-1]
	}
	for _, candidate := range p.candidates(strings.TrimLeft(before, "-"), last) {
		if strings.HasPrefix(candidate, last) {
			fmt.Fprintln(w, candidate)
		}
	}
}

// candidates lists what may follow the flag before.
func (p *Program) candidates(before, last string) []string {
	var f Flags
	fs := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	for _, g := range p.groups(&f) {
		g.register(fs)
	}
	switch before {
	case "from", "until", "skip", "rollback", "explain", "diff":
		return names(p.plan(), p.Machine)
	case "only":
		return machinesOf(p.plan())
	case "on-failure":
		return []string{"stop", "keep", "shell", "rollback"}
	}
	if last != "" && !strings.HasPrefix(last, "-") {
		return nil
	}
	return flagNames(fs)
}

// plan is the program's, or an empty one if it has none.
func (p *Program) plan() (plan stage.Plan) {
	if p.Plan == nil || p.Check != nil && p.Check() != nil {
		return plan
	}
	plan, err := p.Plan()
	if err != nil {
		return stage.Plan{}
	}
	return plan
}
