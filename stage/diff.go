package stage

import "strings"

// diffLines returns the lines that differ between two texts, those of before marked
// by "-" and those of after by "+", in order. Equal lines are left out.
func diffLines(before, after string) string {
	a, b := strings.SplitAfter(before, "\n"), strings.SplitAfter(after, "\n")
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	var out strings.Builder
	mark := func(sign, line string) {
		if line != "" {
			out.WriteString("  " + sign + " " + strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	if len(a)*len(b) > 1<<22 {
		for _, line := range a {
			mark("-", line)
		}
		for _, line := range b {
			mark("+", line)
		}
		return out.String()
	}
	common := commonLines(a, b)
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			mark("-", a[i])
			i++
		default:
			mark("+", b[j])
			j++
		}
	}
	return out.String()
}

// commonLines returns, for each pair of positions, how many lines the rests of a and
// b have in common, in order.
func commonLines(a, b []string) [][]int {
	n := make([][]int, len(a)+1)
	for i := range n {
		n[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				n[i][j] = n[i+1][j+1] + 1
			} else {
				n[i][j] = max(n[i+1][j], n[i][j+1])
			}
		}
	}
	return n
}
