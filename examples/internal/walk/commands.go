package walk

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/examples/internal/prolo"
	"github.com/prologin/rig/snapshot"
)

// commands are those that scripts have beside testscript's own.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"runlab": runlab,
		"rungw":  rungw,
		"signal": signal,
		"host":   host,
		"look":   host, // where a program is called host
		"inside": inside,
		"world":  world,
		"link":   link,
		"mirror": mirror,
		"pool":   pool,
		"light":  light,
		"volume": volume,

		"start":    start,
		"finish":   finish,
		"stranger": stranger,
	}
}

// rungw STATUS [ARGS] is runlab gw STATUS [ARGS].
func rungw(ts *testscript.TestScript, neg bool, args []string) {
	runlab(ts, neg, append([]string{"gw"}, args...))
}

// runlab PROGRAM STATUS [ARGS] runs a program with the state and cache of the test and
// wants that exit status. What it prints can be looked at with "stderr".
func runlab(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: runlab PROGRAM STATUS [ARGS]")
	}
	err := ts.Exec(args[0], labArgs(ts, args[2:])...)
	wantStatus(ts, args[0], err, args[1])
}

func labArgs(ts *testscript.TestScript, args []string) []string {
	return append([]string{"-state", ts.Getenv("STATE"), "-cache", ts.Getenv("CACHE")}, args...)
}

func wantStatus(ts *testscript.TestScript, program string, err error, want string) {
	got := "0"
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ProcessState.String()
		got = strings.TrimPrefix(got, "exit status ")
	} else if err != nil {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with %q, want %q", program, got, want)
	}
}

// inside REGEXP COMMAND runs a command in mygw, or, if COMMAND begins with "MACHINE:",
// in another machine, which was left running, and wants its output to match.
func inside(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: inside REGEXP COMMAND")
	}
	name, command := "mygw", args[1:]
	if strings.HasSuffix(command[0], ":") {
		name, command = strings.TrimSuffix(command[0], ":"), command[1:]
	}
	output, err := Output(name, command...)
	ts.Logf("%s", output)
	if err != nil {
		ts.Fatalf("%v\n%s", err, output)
	}
	if regexp.MustCompile(args[0]).Match(output) == neg {
		ts.Fatalf("%s printed:\n%s", command[0], output)
	}
}

// host SUBCOMMAND: "keep" remembers what the host looks like, "same" wants it to
// look like that again.
func host(ts *testscript.TestScript, neg bool, args []string) {
	file := ts.MkAbs("host.before")
	look, err := Look(ts.Getenv("STATE"))
	ts.Check(err)
	switch {
	case !neg && len(args) == 1 && args[0] == "keep":
		ts.Check(os.WriteFile(file, []byte(strings.Join(look, "\n")), 0o600))
	case !neg && len(args) == 1 && args[0] == "same":
		before, err := os.ReadFile(file)
		ts.Check(err)
		left, gone := Left(strings.Split(string(before), "\n"), strings.Split(strings.Join(look, "\n"), "\n"))
		if len(left)+len(gone) > 0 {
			ts.Fatalf("left on the host: %q; gone from it: %q", left, gone)
		}
	default:
		ts.Fatalf("usage: host keep|same")
	}
}

// mirror ADDRESS serves the mirror there until the end of the script.
func mirror(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: mirror ADDRESS")
	}
	m, err := archtest.Start(context.Background(), archtest.Options{
		CacheDir: ts.Getenv("CACHE"), AddOns: prolo.AddOns(), Listen: args[0],
	})
	ts.Check(err)
	ts.Defer(func() { ts.Check(m.Close()) })
}

// poolKey is what the pool of a script is kept under.
type poolKey struct{}

// pool make MIB makes a btrfs of that size on $WORK/small; pool grow MIB and pool
// destroy act on it.
func pool(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: pool make MIB | grow MIB | destroy")
	}
	ctx := context.Background()
	p := ts.Value(poolKey{}).(**snapshot.Pool)
	if args[0] == "destroy" {
		ts.Check((*p).Destroy(ctx))
		return
	}
	mib, err := strconv.ParseInt(args[1], 10, 32)
	ts.Check(err)
	if args[0] == "grow" {
		ts.Check((*p).Grow(ctx, mib<<20))
		return
	}
	*p, err = snapshot.CreatePool(ctx, ts.MkAbs("small.btrfs"), mib<<20, ts.MkAbs("small"))
	ts.Check(err)
}

// volume DIR NAME makes a volume of somebody else's in the store in DIR.
func volume(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: volume DIR NAME")
	}
	store, err := snapshot.Open(context.Background(), ts.MkAbs(args[0]), snapshot.Options{Existing: true})
	ts.Check(err)
	_, err = store.Create(context.Background(), args[1])
	ts.Check(errors.Join(err, store.Close()))
}
