package docs_test

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// command is a program of ours, or make, with the arguments that the guide gives it.
type command struct {
	page, program string
	args          []string
}

func (c command) String() string { return c.page + ": " + c.program + " " + strings.Join(c.args, " ") }

var (
	inline   = regexp.MustCompile("`([^`\n]+)`")
	makeLine = regexp.MustCompile(`(?:^\s*|run: |- |&& )make ([a-z][a-z-]*)(?: ARGS=(?:'([^']*)'|"([^"]*)"|(\S+)))?`)
	runLine  = regexp.MustCompile(`(?:^go run \./|^|go run \./)examples/([a-z]+)( [^#|&<>]*|$)`)
	callLine = regexp.MustCompile(`^(gw|rhfs|web|pas|lab|host|clean|bootstrap)( -[^#|&<>]*)$`)
)

// commands finds the calls of make and of the examples in the code of all pages,
// in blocks as well as in the text.
func commands(t *testing.T) (found []command) {
	t.Helper()
	for page, text := range pages(t) {
		lines := strings.Split(code(text), "\n")
		for _, match := range inline.FindAllStringSubmatch(prose(text), -1) {
			lines = append(lines, match[1])
		}
		for _, line := range lines {
			for _, match := range makeLine.FindAllStringSubmatch(line, -1) {
				found = append(found, command{page, "make", match[1:2]})
				if slices.Contains(programs(t), match[1]) {
					found = append(found, command{page, match[1], strings.Fields(match[2] + match[3] + match[4])})
				}
			}
			for _, match := range append(runLine.FindAllStringSubmatch(line, -1), callLine.FindAllStringSubmatch(line, -1)...) {
				if slices.Contains(programs(t), match[1]) {
					found = append(found, command{page, match[1], strings.Fields(match[2])})
				}
			}
		}
	}
	return found
}

// programs are the names of the examples that can be run.
func programs(t *testing.T) (names []string) {
	t.Helper()
	mains, err := filepath.Glob(filepath.Join(top, "examples", "*", "main.go"))
	if err != nil || len(mains) == 0 {
		t.Fatalf("no programs: %v", err)
	}
	for _, path := range mains {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	return names
}

// code is what a page shows as code: fenced and indented blocks.
func code(text string) string {
	var out strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case fenced || strings.HasPrefix(line, "    "):
			out.WriteString(line)
		}
	}
	return out.String()
}

// build compiles the examples and returns where they are.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	compile := exec.Command("go", "build", "-o", dir+"/", "./examples/...")
	compile.Dir = top
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return dir
}

// harmless adds what keeps a program from doing anything but looking at its
// arguments: make and those that provision print a plan, the others their help.
func harmless(c command) []string {
	if c.program == "make" {
		return append([]string{"-n", "-C", top}, c.args...)
	}
	if !slices.Contains([]string{"bootstrap", "clean", "host"}, c.program) && !slices.Contains(c.args, "-clean") {
		return append(slices.Clone(c.args), "-plan")
	}
	operands := slices.IndexFunc(c.args, func(arg string) bool { return !strings.HasPrefix(arg, "-") })
	if operands < 0 {
		operands = len(c.args)
	}
	return slices.Insert(slices.Clone(c.args), operands, "-h")
}

// try runs a program and returns its exit status and what it complained of.
func try(t *testing.T, dir string, c command) (int, string) {
	t.Helper()
	path := filepath.Join(dir, c.program)
	if c.program == "make" {
		path = "make"
	}
	var stderr bytes.Buffer
	cmd := exec.Command(path, harmless(c)...)
	cmd.Stderr = &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

func TestCommands(t *testing.T) {
	t.Parallel()
	dir, list := build(t), commands(t)
	t.Run("manual", func(t *testing.T) { testManual(t, dir) })
	t.Run("covered", func(t *testing.T) { testCovered(t, list) })
	t.Run("right", func(t *testing.T) { testRight(t, dir, list) })
	t.Run("wrong", func(t *testing.T) { testWrong(t, dir, list) })
	t.Run("flags", func(t *testing.T) { testFlags(t, dir) })
}

// testCovered fails when the guide is not understood: it has a command for make and
// for each program.
func testCovered(t *testing.T, list []command) {
	count := map[string]int{}
	for _, c := range list {
		count[c.program]++
	}
	t.Logf("%d commands: %v", len(list), count)
	for _, program := range append(programs(t), "make") {
		if count[program] == 0 {
			t.Errorf("no page has a command for %s", program)
		}
	}
}

// testRight runs every command of the guide as far as it goes without changing
// anything: targets, flags, their values and the names of stages are looked at.
func testRight(t *testing.T, dir string, list []command) {
	for _, c := range list {
		if status, stderr := try(t, dir, c); status != 0 {
			t.Errorf("%v: exit status %d:\n%s", c, status, stderr)
		}
	}
}

// valued are the flags whose value is one of a few words, or the name of a stage.
var valued = []string{"-from", "-until", "-skip", "-rollback", "-explain", "-diff", "-network", "-launcher", "-driver", "-on-failure"}

// testWrong makes a mistake in each word of each command and wants to be told the
// right one.
func testWrong(t *testing.T, dir string, list []command) {
	tried := map[string]bool{}
	for _, c := range list {
		for i, word := range c.args {
			named := c.program == "make" || i > 0 && slices.Contains(valued, c.args[i-1])
			key := c.program + " " + word
			if tried[key] || len(word) < 2 || !strings.HasPrefix(word, "-") && !named || word == "-h" {
				continue
			}
			tried[key] = true
			mistaken := command{c.page, c.program, slices.Clone(c.args)}
			mistaken.args[i] = word[:len(word)-1] + "x" + word[len(word)-1:]
			if status, stderr := try(t, dir, mistaken); status != 2 || !strings.Contains(stderr, word) {
				t.Errorf("%v for %s: exit status %d, want 2 and a hint at it:\n%s", mistaken, word, status, stderr)
			}
		}
	}
	for _, args := range [][]string{{"gw", "AGS=-keep"}, {"gw", "ARGS-keep"}, {"gw", "-keep"}, {"gw", "-plan"}, {"gw", "plan"}} {
		misplaced := command{"any page", "make", args}
		if status, stderr := try(t, dir, misplaced); status != 2 || !strings.Contains(stderr, "make gw ARGS=-keep") {
			t.Errorf("%v: exit status %d, want 2 and a hint at ARGS:\n%s", misplaced, status, stderr)
		}
	}
	t.Logf("%d words mistyped", len(tried))
	if len(tried) < len(list)/4 {
		t.Errorf("only %d words of %d commands were mistyped", len(tried), len(list))
	}
}

var flagName = regexp.MustCompile(`^(-[a-z][a-z-]*)( [A-Za-z]+)?$`)

// testFlags fails for a flag in the text that no program has.
func testFlags(t *testing.T, dir string) {
	var help bytes.Buffer
	for _, program := range programs(t) {
		cmd := exec.Command(filepath.Join(dir, program), "-h")
		cmd.Stdout, cmd.Stderr = &help, &help
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s -h: %v", program, err)
		}
	}
	flags := 0
	for page, text := range pages(t) {
		for _, match := range inline.FindAllStringSubmatch(prose(text), -1) {
			name := flagName.FindStringSubmatch(match[1])
			if name == nil || name[1] == "-trimpath" {
				continue
			}
			flags++
			if !regexp.MustCompile(`(?m)^  ` + name[1] + `\b`).Match(help.Bytes()) {
				t.Errorf("%s: %s: no program has this flag", page, match[1])
			}
		}
	}
	if flags == 0 {
		t.Error("no flag in the text")
	}
}
