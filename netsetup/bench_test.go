package netsetup

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// benchHost is a namespace to measure in, entered by the calling goroutine for
// as long as the benchmark runs.
type benchHost struct {
	*Host
	thread *thread
}

func newBenchHost(b *testing.B, opts Options) *benchHost {
	b.Helper()
	if os.Getuid() != 0 {
		b.Skip("needs root to make network namespaces")
	}
	paths := make(chan string)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			close(paths)
			return
		}
		paths <- fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		paths <- "" // until the others are in
	}()
	path, ok := <-paths
	if !ok {
		b.Skip("cannot make network namespaces")
	}
	t, err := startThread(path)
	if err != nil {
		b.Fatal(err)
	}
	opts.Netns, opts.StateDir = path, b.TempDir()
	h, err := Open(opts)
	if err != nil {
		b.Fatal(err)
	}
	<-paths
	b.Cleanup(func() {
		h.Close()
		t.stop()
	})
	return &benchHost{h, t}
}

// run runs a program in the namespace and returns how long it took.
func (h *benchHost) run(b *testing.B, stdin string, argv ...string) time.Duration {
	b.Helper()
	var took time.Duration
	err := h.thread.do(context.Background(), func() error {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = strings.NewReader(stdin)
		start := time.Now()
		out, err := cmd.CombinedOutput()
		took = time.Since(start)
		if err != nil {
			err = fmt.Errorf("%v: %w\n%s", argv, err, out)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return took
}

// timed runs one of ours.
func timed(b *testing.B, f func() error) time.Duration {
	b.Helper()
	start := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func benchNetwork(pairs int) Network {
	n := Network{
		Bridge:     "vz-bench",
		Prefixes:   []netip.Prefix{netip.MustParsePrefix("10.0.0.1/16")},
		Masquerade: true,
	}
	for i := range pairs {
		n.Pairs = append(n.Pairs, Pair{Machine: fmt.Sprintf("m%d", i)})
	}
	return n
}

// benchRounds is how often each side is measured; medians are compared.
const benchRounds = 5

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func ratio(name string, ours, theirs []time.Duration) {
	o, t := median(ours), median(theirs)
	fmt.Printf("ratio %s %v %v %.2f\n", name, o.Round(10*time.Microsecond), t.Round(10*time.Microsecond), t.Seconds()/o.Seconds())
}

// BenchmarkNetwork measures a bridge with 100 pairs, addresses and NAT against
// the commands that Plan prints, one process each and in batches.
// Those are iptables' in both cases, also where ours go by nftables.
func BenchmarkNetwork(b *testing.B) {
	b.Run("nftables", func(b *testing.B) { benchmarkNetwork(b, "", Options{Nftables: true}) })
	b.Run("iptables", func(b *testing.B) { benchmarkNetwork(b, "-iptables", Options{}) })
}

func benchmarkNetwork(b *testing.B, suffix string, opts Options) {
	h := newBenchHost(b, opts)
	ctx, n := context.Background(), benchNetwork(100)
	plan, err := n.Manual()
	if err != nil {
		b.Fatal(err)
	}
	unmake := byHand(plan)
	var ours, again, removed, commands, batches, removedByHand []time.Duration
	for b.Loop() {
		for range benchRounds {
			ours = append(ours, timed(b, func() error { return h.Apply(ctx, n) }))
			again = append(again, timed(b, func() error { return h.Apply(ctx, n) }))
			removed = append(removed, timed(b, func() error { return h.Remove(ctx, n.Bridge) }))
			commands = append(commands, h.run(b, plan.String(), "sh", "-e"))
			removedByHand = append(removedByHand, h.run(b, unmake, "sh", "-e"))
			batches = append(batches, h.run(b, inBatches(plan), "sh", "-e"))
			h.run(b, unmake, "sh", "-e")
		}
	}
	ratio("net-100"+suffix, ours, commands)
	ratio("net-batch"+suffix, ours, batches)
	ratio("net-again"+suffix, again, ours)
	ratio("net-remove"+suffix, removed, removedByHand)
}

// byHand undoes a plan as a person would, one thing after the other.
func byHand(plan Changes) string {
	var undo Changes
	for _, c := range slices.Backward(plan) {
		switch c.Object.(type) {
		case baseChain, up, address: // they go with the rest
		default:
			undo = append(undo, c.reverse())
		}
	}
	return undo.String()
}

// inBatches makes of a plan a script that starts ip once, and each
// iptables-restore once.
func inBatches(plan Changes) string {
	var ip, rest strings.Builder
	restore := map[string]map[string][]string{"iptables": {}, "ip6tables": {}}
	for _, line := range strings.Split(strings.TrimSpace(plan.String()), "\n") {
		words := strings.SplitN(line, " ", 4)
		switch {
		case words[0] == "ip":
			ip.WriteString(strings.TrimPrefix(line, "ip ") + "\n")
		case restore[words[0]] != nil: // iptables -t TABLE …
			rule := words[3]
			if name, ok := strings.CutPrefix(rule, "-N "); ok {
				rule = ":" + name + " - [0:0]"
			}
			restore[words[0]][words[2]] = append(restore[words[0]][words[2]], rule)
		default:
			rest.WriteString(line + "\n")
		}
	}
	var script strings.Builder
	for program, tables := range restore {
		fmt.Fprintf(&script, "%s-restore --noflush <<'END'\n", program)
		for table, rules := range tables {
			fmt.Fprintf(&script, "*%s\n%s\nCOMMIT\n", table, strings.Join(rules, "\n"))
		}
		script.WriteString("END\n")
	}
	return script.String() + "ip -batch - <<'END'\n" + ip.String() + "END\n" + rest.String()
}

// BenchmarkPairs prints what one more machine costs as their number grows: the
// slope is the cost of each beyond the first hundred by that of each up to there.
func BenchmarkPairs(b *testing.B) {
	h := newBenchHost(b, Options{})
	ctx := context.Background()
	counts := []int{10, 100, 1000}
	for b.Loop() {
		var apply, remove []time.Duration
		for _, pairs := range counts {
			n := benchNetwork(pairs)
			apply = append(apply, timed(b, func() error { return h.Apply(ctx, n) }))
			remove = append(remove, timed(b, func() error { return h.Remove(ctx, n.Bridge) }))
			last := len(apply) - 1
			fmt.Printf("figure net-pairs-%d apply %v remove %v\n", pairs, apply[last].Round(time.Millisecond), remove[last].Round(time.Millisecond))
		}
		printSlope("net-apply", counts, apply)
		printSlope("net-remove", counts, remove)
	}
}

func printSlope(name string, counts []int, took []time.Duration) {
	each := func(i int) time.Duration { return (took[i] - took[i-1]) / time.Duration(counts[i]-counts[i-1]) }
	fmt.Printf("slope %s %v each from %d to %d, %v each from %d to %d: %.2f\n", name,
		each(1).Round(time.Microsecond), counts[0], counts[1], each(2).Round(time.Microsecond), counts[1], counts[2], each(2).Seconds()/each(1).Seconds())
}
