package main

import (
	"bytes"
	"fmt"
	"html"
)

// picture is an SVG being written. It has a dark side for dark pages.
type picture struct{ bytes.Buffer }

func newPicture(width, height int, label string) *picture {
	var p picture
	fmt.Fprintf(&p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">
<style>
text { font: 12px system-ui, sans-serif; fill: #1f2430 } .faint { fill: #5b6272 }
.axis { stroke: #d9dce3 } .one { stroke: #5b6272 } .ideal { stroke: #9aa3b5; stroke-dasharray: 4 4 }
.ahead { fill: #2f7d5b } .behind { fill: #b4552d } .page { fill: #ffffff }
.curve { fill: none; stroke: #2f7d5b; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7ee } .faint { fill: #9aa3b5 } .axis { stroke: #2b3140 } .one { stroke: #9aa3b5 }
  .ahead { fill: #5fb98f } .behind { fill: #e08a5f } .page { fill: #14171f } .curve { stroke: #5fb98f }
}
</style>
<rect class="page" width="100%%" height="100%%"/>
`, width, height, width, height, html.EscapeString(label))
	return &p
}

func (p *picture) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(p, "<line class=%q x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, x1, y1, x2, y2)
}

// text is placed by its start, middle or end.
func (p *picture) text(x, y float64, anchor, class, text string) {
	fmt.Fprintf(p, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=%q class=%q>%s</text>\n", x, y, anchor, class, html.EscapeString(text))
}

func (p *picture) bar(class string, x, y, width, height float64) {
	fmt.Fprintf(p, "<rect class=%q x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", class, x, y, width, height)
}

func (p *picture) dot(class string, x, y float64) {
	fmt.Fprintf(p, "<circle class=%q cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>\n", class, x, y)
}

func (p *picture) curve(points [][2]float64) {
	p.WriteString(`<polyline class="curve" points="`)
	for _, point := range points {
		fmt.Fprintf(p, "%.1f,%.1f ", point[0], point[1])
	}
	p.WriteString("\"/>\n")
}

func (p *picture) end() []byte {
	p.WriteString("</svg>\n")
	return p.Bytes()
}
