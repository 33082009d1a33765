package main

import (
	"fmt"
	"math"
)

const (
	rowHeight  = 22
	nameWidth  = 190
	plotWidth  = 520
	chartWidth = nameWidth + plotWidth + 80
	top        = 34
)

// chart draws the ratios as bars on a logarithmic axis, to the right of 1 where we
// are quicker and to its left where we are not.
func chart(ratios []ratio) []byte {
	low, high := 1.0, 10.0
	for _, r := range ratios {
		low, high = min(low, r.value), max(high, r.value)
	}
	lowest, highest := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	at := func(value float64) float64 {
		return nameWidth + plotWidth*(math.Log10(value)-lowest)/(highest-lowest)
	}
	height := top + rowHeight*len(ratios) + 12
	out := newPicture(chartWidth, height, "How many times quicker than the peer")
	for power := lowest; power <= highest; power++ {
		value := math.Pow(10, power)
		class := "axis"
		if value == 1 {
			class = "one"
		}
		out.line(class, at(value), top-6, at(value), float64(height-8))
		out.text(at(value), 20, "middle", "faint", fmt.Sprintf("%g×", value))
	}
	for i, r := range ratios {
		y, class := float64(top+rowHeight*i), "ahead"
		if r.value < 1 {
			class = "behind"
		}
		left, right := min(at(1), at(r.value)), max(at(1), at(r.value))
		out.text(nameWidth-10, y+12, "end", "name", r.name)
		out.bar(class, left, y+1, max(right-left, 1), 14)
		out.text(right+6, y+12, "start", "value", times(r.value))
	}
	return out.end()
}
