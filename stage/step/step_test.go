package step_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
	"github.com/prologin/rig/stage/step"
)

// here is a machine whose commands run on this host, for steps that only touch a
// temporary directory.
type here struct{}

func (here) Start(context.Context) error           { return nil }
func (here) Stop(context.Context) error            { return nil }
func (here) Running(context.Context) (bool, error) { return true, nil }

func (here) Exec(ctx context.Context, c stage.Command) error {
	if c.Args[0] == "sync" {
		return nil
	}
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Env, cmd.Dir = append(os.Environ(), c.Env...), c.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	return cmd.Run()
}

// run runs steps on this host and returns what they printed.
func run(t *testing.T, steps ...stage.Step) (string, error) {
	t.Helper()
	dir := t.TempDir()
	v, err := stagetest.NewVolume(filepath.Join(dir, "volume"), nil)
	if err != nil {
		t.Fatal(err)
	}
	plan := stage.Plan{Name: "lab", Setups: []stage.Setup{{Machine: "here", Stages: []stage.Stage{{Name: "s", Steps: steps}}}}}
	var out strings.Builder
	lab, err := stage.Open(plan, stage.Options{
		StateDir: filepath.Join(dir, "state"),
		Targets:  map[string]stage.Target{"here": {Machine: here{}, Volume: v}},
		Secret: func(_ context.Context, name string) ([]byte, error) {
			return []byte("hunter2-" + name), nil
		},
		Events: func(e stage.Event) {
			if e.Kind == stage.EventOutput {
				out.WriteString(e.Text + "\n")
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = lab.Run(context.Background(), stage.Steering{})
	return out.String(), err
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestExec(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := run(t,
		step.Exec{Args: []string{"sh", "-c", `echo "$A$B in $PWD"; cat`}, Env: []string{"A=x y"}, Secrets: map[string]string{"B": "pw"}, Dir: dir, Stdin: "from stdin\n"},
		step.Exec{Args: []string{"cat"}, StdinSecret: "pw"},
		step.Script{Text: "echo first\nprintf '%s\\n' \"$A\"\n", Env: []string{"A=b"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := "x y[secret pw] in " + dir + "\nfrom stdin\n[secret pw]\nfirst\nb\n"
	if out != want {
		t.Errorf("output %q, want %q", out, want)
	}
}

func TestScriptStopsAtFirstFailure(t *testing.T) {
	t.Parallel()
	out, err := run(t, step.Script{Text: "echo before\nfalse\necho after\n"})
	if stage.ExitCode(err) != 1 || out != "before\n" {
		t.Errorf("output %q, error %v", out, err)
	}
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, secret := filepath.Join(dir, "a b/c's", "-f"), filepath.Join(dir, "secret")
	link, target := filepath.Join(dir, "link"), filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	content := "line\n$HOME `x` \\n '\"\nno end"
	if _, err := run(t,
		step.WriteFile{Path: file, Content: content, Mode: 0o640},
		step.WriteFile{Path: secret, Secret: "pw"},
		step.WriteFile{Path: link, Content: "new"},
	); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name, content string
		mode          fs.FileMode
	}{{file, content, 0o640}, {secret, "hunter2-pw", 0o600}, {link, "new", 0o644}, {target, "kept", 0o644}} {
		info, err := os.Lstat(f.name)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, f.name); got != f.content || info.Mode() != f.mode {
			t.Errorf("%s: %q with mode %v, want %q with %v", f.name, got, info.Mode(), f.content, f.mode)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "**", ".rig.*")); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

func TestEditFile(t *testing.T) {
	t.Parallel()
	const block = "# begin mdb\n127.0.0.1 mdb \\n\n# end mdb\n"
	for _, tt := range []struct {
		name, before string
		edit         step.EditFile
		want         string
		fails        string
	}{
		{"at the end", "a\nb\n", step.EditFile{}, "a\nb\n" + block, ""},
		{"into an empty file", "", step.EditFile{}, block, ""},
		{"after a line", "a\nb\nb\nc\n", step.EditFile{After: "b"}, "a\nb\n" + block + "b\nc\n", ""},
		{"instead of the old block", "a\n# begin mdb\nold\nold\n# end mdb\nb\n", step.EditFile{After: "b"}, "a\n" + block + "b\n", ""},
		{"no line to go after", "a\n", step.EditFile{After: "x"}, "a\n", "no line to put the block after: x"},
		{"no end mark", "a\n# begin mdb\nb\n", step.EditFile{}, "a\n# begin mdb\nb\n", "the block has no end mark"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "hosts")
			if err := os.WriteFile(file, []byte(tt.before), 0o600); err != nil {
				t.Fatal(err)
			}
			tt.edit.Path, tt.edit.Name, tt.edit.Lines = file, "mdb", `127.0.0.1 mdb \n`
			out, err := run(t, tt.edit, tt.edit) // twice: it must be idempotent
			if (err != nil) != (tt.fails != "") || !strings.Contains(out, tt.fails) {
				t.Fatalf("error %v, output %q", err, out)
			}
			if got := read(t, file); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
			if info, _ := os.Stat(file); info.Mode() != 0o600 {
				t.Errorf("mode became %v", info.Mode())
			}
			if left, _ := filepath.Glob(file + ".*"); left != nil {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestEditMissingFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "hosts")
	if _, err := run(t, step.EditFile{Path: file, Name: "n", Lines: "x", After: "y"}); err == nil {
		t.Error("a block was put after a line of a file that is not there")
	}
	if _, err := run(t, step.EditFile{Path: file, Name: "n", Lines: "x"}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, file); got != "# begin n\nx\n# end n\n" {
		t.Errorf("got %q", got)
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "deep", "to")
	for name, mode := range map[string]fs.FileMode{"run.sh": 0o755, "sub/data": 0o644} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("sub/data", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	one := filepath.Join(t.TempDir(), "one", "renamed")
	if _, err := run(t, step.Copy{From: from, To: to}, step.Copy{From: filepath.Join(from, "run.sh"), To: one}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(to, "link")); got != "sub/data" {
		t.Errorf("through the link: %q", got)
	}
	for _, file := range []string{filepath.Join(to, "run.sh"), one} {
		info, err := os.Stat(file)
		if err != nil || info.Mode() != 0o755 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if _, err := run(t, step.Copy{From: from + "/missing", To: to}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("copy of a missing file: %v", err)
	}
}

// TestKeysTellApart has pairs of steps that do different things and look alike.
func TestKeysTellApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		for i, name := range []string{"3", "5"} { // /dev/null and /dev/zero
			if err := syscall.Mknod(filepath.Join(dir, name), syscall.S_IFCHR|0o666, 1<<8|3+2*i); err != nil {
				t.Skipf("making a device: %v", err)
			}
		}
	}
	pairs := [][2]stage.Step{
		{step.Exec{Args: []string{"a", "b c"}}, step.Exec{Args: []string{"a", "b", "c"}}},
		{step.Exec{Args: []string{"x"}, Env: []string{"A=1\nB=2"}}, step.Exec{Args: []string{"x"}, Env: []string{"A=1", "B=2"}}},
		{step.Script{Text: "x", Env: []string{"A=1\nB=2"}}, step.Script{Text: "x", Env: []string{"A=1", "B=2"}}},
		{step.Copy{From: filepath.Join(dir, "3"), To: "/x"}, step.Copy{From: filepath.Join(dir, "5"), To: "/x"}},
	}
	if os.Geteuid() != 0 {
		pairs = pairs[:3]
	}
	for _, pair := range pairs {
		var keys []string
		for _, s := range pair {
			plan := stage.Plan{Name: "lab", Setups: []stage.Setup{{Machine: "here", Stages: []stage.Stage{{Name: "s", Steps: []stage.Step{s}}}}}}
			lab, err := stage.Open(plan, stage.Options{StateDir: filepath.Join(dir, "state")})
			if err != nil {
				t.Fatal(err)
			}
			decisions, err := lab.Preview(t.Context(), stage.Steering{})
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, decisions[0].Key)
		}
		if keys[0] == keys[1] {
			t.Errorf("%+v and %+v have one key", pair[0], pair[1])
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, s := range []interface{ Validate() error }{
		step.Exec{}, step.Exec{Args: []string{"x"}, Env: []string{"A"}},
		step.Exec{Args: []string{"x"}, Stdin: "a", StdinSecret: "b"},
		step.Script{}, step.Script{Text: strings.Repeat("x", 200<<10)},
		step.WriteFile{Path: "etc/x"}, step.WriteFile{Path: "/etc/"}, step.WriteFile{Path: "/x", Content: "a", Secret: "b"},
		step.EditFile{Path: "/x"}, step.EditFile{Name: "a", Path: "x"}, step.Copy{To: "/x"}, step.Copy{From: "x", To: "x"},
		step.Bind{To: "/x"}, step.Bind{From: "/x", To: "x"}, step.Bind{From: "/x", To: "//"},
		step.Enable{}, step.Start{Units: []string{"-x"}}, step.Install{}, step.Install{Packages: []string{"a b"}},
		step.Func{Name: "x"}, step.Func{Name: "x", Version: "1"},
	} {
		if err := s.Validate(); !errors.Is(err, stage.ErrInvalid) {
			t.Errorf("%T %+v: %v, want ErrInvalid", s, s, err)
		}
	}
}

func TestScriptIsShortenedBetweenCharacters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"echo a\n": "echo a", "echo a\necho b": "echo a…",
		strings.Repeat("x", 59) + "é": strings.Repeat("x", 59) + "…",
		strings.Repeat("é", 30):       strings.Repeat("é", 30),
	} {
		if got := (step.Script{Text: text}).String(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
