package main

import (
	"bytes"
	"fmt"
	"html"
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

	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="How many times quicker than the peer">
<style>
text { font: 12px system-ui, sans-serif; fill: #1f2430 }
.axis { stroke: #c6cad4 } .one { stroke: #5b6272 }
.ahead { fill: #2f7d5b } .behind { fill: #b4552d } .page { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7ee } .axis { stroke: #3b4252 } .one { stroke: #9aa3b5 }
  .ahead { fill: #5fb98f } .behind { fill: #e08a5f } .page { fill: #14171f }
}
</style>
<rect class="page" width="100%%" height="100%%"/>
`, chartWidth, height, chartWidth, height)
	for power := lowest; power <= highest; power++ {
		value := math.Pow(10, power)
		class := "axis"
		if value == 1 {
			class = "one"
		}
		fmt.Fprintf(&out, "<line class=%q x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text x=\"%.1f\" y=\"20\" text-anchor=\"middle\">%g×</text>\n",
			class, at(value), at(value), top-6, height-8, at(value), value)
	}
	for i, r := range ratios {
		y, class := top+rowHeight*i, "ahead"
		if r.value < 1 {
			class = "behind"
		}
		left, right := min(at(1), at(r.value)), max(at(1), at(r.value))
		fmt.Fprintf(&out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text><rect class=%q x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"14\"/><text x=\"%.1f\" y=\"%d\">%s</text>\n",
			nameWidth-10, y+12, html.EscapeString(r.name), class, left, y+1, max(right-left, 1), right+6, y+12, times(r.value))
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}
