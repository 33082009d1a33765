package report

import (
	"fmt"
	"strings"

	"github.com/prologin/rig/stage"
)

// topology is a picture of the machines: each in the column after those it needs.
type topology struct {
	Width, Height int
	Boxes         []box
	Lines         []line
}

type box struct {
	X, Y, W, H int
	Name, Text string
}

type line struct{ Path, Text string }

const (
	boxHeight  = 46
	letter     = 9 // at most, of a name
	gapX, gapY = 90, 18
	margin     = 6
)

func layOut(p stage.Plan) topology {
	needs := machineNeeds(p)
	column := columns(p, needs)
	t := topology{Width: 2 * margin, Height: 2 * margin}
	boxWidth := 120
	for _, s := range p.Setups {
		boxWidth = max(boxWidth, letter*len(s.Machine)+2*12)
	}
	rows := map[int]int{}
	at := map[string]box{}
	for _, s := range p.Setups {
		c := column[s.Machine]
		b := box{X: margin + c*(boxWidth+gapX), Y: margin + rows[c]*(boxHeight+gapY), W: boxWidth, H: boxHeight,
			Name: s.Machine, Text: stagesOf(s)}
		rows[c]++
		at[s.Machine] = b
		t.Boxes = append(t.Boxes, b)
		t.Width, t.Height = max(t.Width, b.X+b.W+margin), max(t.Height, b.Y+b.H+margin+gapY)
	}
	for _, s := range p.Setups {
		for _, other := range p.Setups {
			if stages := needs[s.Machine][other.Machine]; stages != nil {
				t.Lines = append(t.Lines, connect(at[other.Machine], at[s.Machine], stages))
			}
		}
	}
	return t
}

func stagesOf(s stage.Setup) string {
	if len(s.Stages) == 1 {
		return "1 stage"
	}
	return fmt.Sprintf("%d stages", len(s.Stages))
}

// machineNeeds returns, for each machine, the stages of each other that it needs.
func machineNeeds(p stage.Plan) map[string]map[string][]string {
	needs := map[string]map[string][]string{}
	for _, s := range p.Setups {
		needs[s.Machine] = map[string][]string{}
		for _, st := range s.Stages {
			for _, need := range st.Needs {
				machine, name, _ := strings.Cut(need, "/")
				needs[s.Machine][machine] = append(needs[s.Machine][machine], name)
			}
		}
	}
	return needs
}

// columns puts each machine one further than the furthest that it needs. Machines
// may need stages of each other, so the number of rounds is limited.
func columns(p stage.Plan, needs map[string]map[string][]string) map[string]int {
	column := map[string]int{}
	for range p.Setups {
		for _, s := range p.Setups {
			for other := range needs[s.Machine] {
				if next := column[other] + 1; next > column[s.Machine] && next < len(p.Setups) {
					column[s.Machine] = next
				}
			}
		}
	}
	return column
}

// connect draws a line from the right of one box to the left of another.
func connect(from, to box, stages []string) line {
	x1, y1 := from.X+from.W, from.Y+from.H/2
	x2, y2 := to.X, to.Y+to.H/2
	bend, dip := gapX/2, 0
	if x2-x1 > gapX {
		bend, dip = gapX, boxHeight+gapY/2 // below the boxes between them
	}
	return line{
		Path: fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+bend, y1+dip, x2-bend, y2+dip, x2, y2),
		Text: fmt.Sprintf("%s needs %s of %s", to.Name, strings.Join(stages, ", "), from.Name),
	}
}
