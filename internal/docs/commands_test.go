package docs_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// command is a program of ours with the arguments that the guide gives it.
type command struct {
	page, program string
	args          []string
}

func (c command) String() string { return c.page + ": " + c.program + " " + strings.Join(c.args, " ") }

var (
	makeLine = regexp.MustCompile(`(?:^\s*|run: |- |&& )make ([a-z][a-z-]*)(?: ARGS=(?:'([^']*)'|"([^"]*)"|(\S+)))?`)
	runLine  = regexp.MustCompile(`go run \./examples/([a-z]+)([^#|&<>]*)`)
	target   = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
)

// commands finds the calls of make and of the examples in the code of all pages,
// and fails for a target that the Makefile lacks.
func commands(t *testing.T) (found []command) {
	t.Helper()
	makefile, err := os.ReadFile(filepath.Join(top, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, match := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, match[1])
	}
	for page, text := range pages(t) {
		for line := range strings.Lines(code(text)) {
			for _, match := range makeLine.FindAllStringSubmatch(line, -1) {
				if !slices.Contains(targets, match[1]) {
					t.Errorf("%s: make %s: no such target", page, match[1])
				}
				if _, err := os.Stat(filepath.Join(top, "examples", match[1])); err == nil {
					found = append(found, command{page, match[1], strings.Fields(match[2] + match[3] + match[4])})
				}
			}
			for _, match := range runLine.FindAllStringSubmatch(line, -1) {
				found = append(found, command{page, match[1], strings.Fields(match[2])})
			}
		}
	}
	if len(found) == 0 {
		t.Fatal("no command found at all")
	}
	return found
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
// arguments: those that provision print a plan, the others their help.
func harmless(program string, args []string) []string {
	if slices.Contains([]string{"bootstrap", "clean", "host"}, program) {
		return append([]string{"-h"}, args...)
	}
	return append(slices.Clone(args), "-plan")
}

// try runs a program in an empty directory and returns its exit status and what it
// complained of.
func try(t *testing.T, dir, program string, args []string) (int, string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(dir, program), args...)
	cmd.Dir, cmd.Stderr = t.TempDir(), &stderr
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
	t.Run("right", func(t *testing.T) { testRight(t, dir, list) })
	t.Run("wrong", func(t *testing.T) { testWrong(t, dir, list) })
}

// testRight runs every command of the guide as far as it goes without changing
// anything: its flags, their values and the names of stages are looked at.
func testRight(t *testing.T, dir string, list []command) {
	for _, c := range list {
		if status, stderr := try(t, dir, c.program, harmless(c.program, c.args)); status != 0 {
			t.Errorf("%v: exit status %d:\n%s", c, status, stderr)
		}
	}
}

// testWrong makes a mistake in each word of each command and wants to be told the
// right one.
func testWrong(t *testing.T, dir string, list []command) {
	tried := map[string]bool{}
	for _, c := range list {
		for i, word := range c.args {
			named := i > 0 && slices.Contains([]string{"-from", "-until", "-skip", "-rollback", "-explain", "-diff", "-network", "-launcher", "-driver", "-on-failure"}, c.args[i-1])
			key := c.program + " " + word
			if tried[key] || len(word) < 4 || !strings.HasPrefix(word, "-") && !named {
				continue
			}
			tried[key] = true
			wrong := slices.Clone(c.args)
			wrong[i] = word[:len(word)-2] + word[len(word)-1:]
			status, stderr := try(t, dir, c.program, append(wrong, "-plan"))
			if status != 2 || !strings.Contains(stderr, word) {
				t.Errorf("%v with %s for %s: exit status %d, want 2 and a hint at %s:\n%s", c, wrong[i], word, status, word, stderr)
			}
		}
	}
	if len(tried) == 0 {
		t.Error("no word to mistype")
	}
}
