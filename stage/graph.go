package stage

// graph holds the stages of a plan and the order between them: each comes after its
// predecessor in the same machine and after those that it needs.
type graph struct {
	nodes []node
	index map[string]int
}

type node struct {
	ref    ref
	before []int // indices of the stages that this one comes after
}

// newGraph ignores needs that name no stage; Validate reports them.
func newGraph(p Plan) *graph {
	g := &graph{index: map[string]int{}}
	for _, name := range p.refs() {
		r, _ := parseRef(name)
		g.index[name] = len(g.nodes)
		g.nodes = append(g.nodes, node{ref: r})
	}
	i := 0
	for _, s := range p.Setups {
		for n, st := range s.Stages {
			if n > 0 {
				g.nodes[i].before = append(g.nodes[i].before, i-1)
			}
			for _, need := range st.Needs {
				if j, ok := g.index[need]; ok {
					g.nodes[i].before = append(g.nodes[i].before, j)
				}
			}
			i++
		}
	}
	return g
}

// order returns the nodes so that each comes after those it waits for. It is only
// right for a graph without a cycle.
func (g *graph) order() (order []int) {
	all := make([]int, len(g.nodes))
	for i := range all {
		all[i] = i
	}
	walk(all, g.before, func(i int) { order = append(order, i) })
	return order
}

// ancestors returns the set of stages that the given ones wait for, themselves
// included.
func (g *graph) ancestors(of ...int) map[int]bool {
	return walk(of, g.before, func(int) {})
}

// descendants returns the set of stages that wait for the given ones, themselves
// included.
func (g *graph) descendants(of ...int) map[int]bool {
	after := make([][]int, len(g.nodes))
	for i, n := range g.nodes {
		for _, j := range n.before {
			after[j] = append(after[j], i)
		}
	}
	return walk(of, func(i int) []int { return after[i] }, func(int) {})
}

func (g *graph) before(i int) []int { return g.nodes[i].before }

// walk visits what can be reached by next, calling leave for each node after those
// beyond it, and returns the set of them.
func walk(from []int, next func(int) []int, leave func(int)) map[int]bool {
	seen := map[int]bool{}
	var visit func(int)
	visit = func(i int) {
		if seen[i] {
			return
		}
		seen[i] = true
		for _, j := range next(i) {
			visit(j)
		}
		leave(i)
	}
	for _, i := range from {
		visit(i)
	}
	return seen
}

// cycle returns the names of stages that wait for each other, the first again at the
// end, or nil if there are none.
func (g *graph) cycle() []string {
	const (
		unseen = iota
		active
		done
	)
	state := make([]int, len(g.nodes))
	var stack []int
	var visit func(int) []string
	visit = func(i int) []string {
		state[i] = active
		stack = append(stack, i)
		for _, j := range g.nodes[i].before {
			switch state[j] {
			case unseen:
				if path := visit(j); path != nil {
					return path
				}
			case active:
				return g.path(stack, j)
			}
		}
		stack = stack[:len(stack)-1]
		state[i] = done
		return nil
	}
	for i := range g.nodes {
		if state[i] == unseen {
			if path := visit(i); path != nil {
				return path
			}
		}
	}
	return nil
}

// path names the part of the stack from node first on.
func (g *graph) path(stack []int, first int) []string {
	var names []string
	for _, i := range stack {
		if i == first || names != nil {
			names = append(names, g.nodes[i].ref.String())
		}
	}
	return append(names, g.nodes[first].ref.String())
}
