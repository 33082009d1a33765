package main

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// size is what was measured of one number of machines, by name.
type size struct {
	machines int
	values   map[string]quantity
}

// quantity is a number of seconds or of MiB.
type quantity struct {
	value float64
	unit  string
}

// parseSize reads "scale-10" and "all 41.2s each 4.1s memory 69MiB". What it does not
// understand it leaves out.
func parseSize(name, rest string) (size, bool) {
	number, isScale := strings.CutPrefix(name, "scale-")
	machines, err := strconv.Atoi(number)
	if !isScale || err != nil {
		return size{}, false
	}
	s := size{machines, map[string]quantity{}}
	words := strings.Fields(rest)
	for ; len(words) >= 2; words = words[2:] {
		if q, ok := parseQuantity(words[1]); ok {
			s.values[words[0]] = q
		}
	}
	return s, len(s.values) > 0
}

func parseQuantity(word string) (quantity, bool) {
	if took, err := time.ParseDuration(word); err == nil {
		return quantity{took.Seconds(), "s"}, true
	}
	for suffix, mib := range map[string]float64{"KiB": 1.0 / 1024, "MiB": 1, "GiB": 1024} {
		if number, found := strings.CutSuffix(word, suffix); found {
			value, err := strconv.ParseFloat(number, 64)
			return quantity{value * mib, "MiB"}, err == nil
		}
	}
	return quantity{}, false
}

// panels are drawn in this order, with these headings; the first has a dashed line for
// what would be in proportion to the largest number.
var panels = []struct{ name, heading string }{
	{"all", "until all have reported"},
	{"each", "the same, for each machine"},
	{"boot", "boot of a machine (median)"},
	{"lease", "until its DHCP lease (median)"},
	{"report", "until it has reported (median)"},
	{"memory", "memory of each machine"},
}

const (
	panelWidth, panelHeight = 300, 190
	marginLeft, marginTop   = 56, 34
	innerWidth, innerHeight = panelWidth - marginLeft - 24, panelHeight - marginTop - 34
)

// scalePlot draws a panel for each thing that was measured, over the number of
// machines.
func scalePlot(sizes []size) []byte {
	slices.SortFunc(sizes, func(a, b size) int { return a.machines - b.machines })
	var shown []int
	for i, panel := range panels {
		if slices.ContainsFunc(sizes, func(s size) bool { _, has := s.values[panel.name]; return has }) {
			shown = append(shown, i)
		}
	}
	columns := min(3, len(shown))
	rows := (len(shown) + columns - 1) / columns
	out := newPicture(columns*panelWidth, rows*panelHeight, "Time and memory over the number of machines")
	for i, which := range shown {
		drawPanel(out, sizes, panels[which].name, panels[which].heading, which == 0, float64(i%columns*panelWidth), float64(i/columns*panelHeight))
	}
	return out.end()
}

func drawPanel(out *picture, sizes []size, name, heading string, ideal bool, left, up float64) {
	most, highest, unit := sizes[len(sizes)-1].machines, 0.0, ""
	for _, s := range sizes {
		if q, has := s.values[name]; has {
			highest, unit = max(highest, q.value), q.unit
		}
	}
	limit := niceCeiling(highest * 1.1)
	x := func(machines int) float64 {
		return left + marginLeft + innerWidth*float64(machines)/float64(most)
	}
	y := func(value float64) float64 { return up + marginTop + innerHeight*(1-value/limit) }
	out.text(left+marginLeft, up+18, "start", "heading", heading)
	for i := range 5 {
		value := limit * float64(i) / 4
		out.line("axis", x(0), y(value), x(most), y(value))
		out.text(x(0)-6, y(value)+4, "end", "faint", short(value, unit))
	}
	if last, has := sizes[len(sizes)-1].values[name]; ideal && has {
		out.line("ideal", x(0), y(0), x(most), y(last.value))
	}
	var points [][2]float64
	for _, s := range sizes {
		if q, has := s.values[name]; has {
			points = append(points, [2]float64{x(s.machines), y(q.value)})
			out.text(x(s.machines), y(0)+16, "middle", "faint", strconv.Itoa(s.machines))
		}
	}
	out.curve(points)
	for _, point := range points {
		out.dot("ahead", point[0], point[1])
	}
	if last, has := sizes[len(sizes)-1].values[name]; has {
		out.text(x(most), y(last.value)-8, "end", "value", short(last.value, unit))
	}
}

// short writes three digits, or all those before the point.
func short(value float64, unit string) string {
	digits := 3
	for limit := 1000.0; value >= limit; limit *= 10 {
		digits++
	}
	return strconv.FormatFloat(value, 'g', digits, 64) + " " + unit
}

// niceCeiling returns the least of 1, 2, 4 and 8 times a power of ten that is not
// below value.
func niceCeiling(value float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(max(value, 1e-3))))
	for _, digit := range []float64{1, 2, 4, 8} {
		if digit*power >= value {
			return digit * power
		}
	}
	return 10 * power
}
