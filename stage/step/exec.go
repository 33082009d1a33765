package step

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/internal/shell"
)

// Exec runs a program in the machine. An exit status other than zero is a failure.
type Exec struct {
	// Args holds the program and its arguments. No shell sees them.
	Args []string

	// Env is added to the environment, as "NAME=value".
	Env []string

	// Secrets adds variables whose values are secrets: the name of the variable and
	// that of the secret.
	Secrets map[string]string

	// Dir is the working directory. Empty means the machine's choice.
	Dir string

	// Stdin is what the program reads. StdinSecret is a secret to be read instead.
	Stdin       string
	StdinSecret string
}

// Command returns an Exec of the given program.
func Command(args ...string) Exec { return Exec{Args: args} }

// String returns the command line.
func (e Exec) String() string { return shell.Join(e.Args...) }

// Validate returns an error that matches [stage.ErrInvalid] if a field is wrong.
func (e Exec) Validate() error {
	if len(e.Args) == 0 || e.Args[0] == "" {
		return invalid("no program")
	}
	if e.Stdin != "" && e.StdinSecret != "" {
		return invalid("both Stdin and StdinSecret")
	}
	for _, v := range e.Env {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" {
			return invalid("environment %q is not NAME=value", v)
		}
	}
	return nil
}

// Manual returns the command line with its environment and directory.
func (e Exec) Manual(string) []stage.Line {
	line := ""
	for _, v := range e.Env {
		name, value, _ := strings.Cut(v, "=")
		line += name + "=" + shell.Quote(value) + " "
	}
	for _, name := range slices.Sorted(maps.Keys(e.Secrets)) {
		line += name + "=… "
	}
	line += shell.Join(e.Args...)
	switch {
	case e.Stdin != "":
		line = hereDocument(line, e.Stdin)
	case e.StdinSecret != "":
		line += " <" + shell.Quote(e.StdinSecret)
	}
	if e.Dir != "" {
		line = "cd " + shell.Quote(e.Dir) + " && " + line
	}
	return typed("%s", line)
}

// Ingredients adds the command, its surroundings and its input.
func (e Exec) Ingredients(r *stage.Recipe) {
	r.Text("command", shell.Join(e.Args...))
	r.Text("environment", variables(e.Env))
	r.Text("directory", e.Dir)
	r.Text("input", e.Stdin)
	for _, name := range slices.Sorted(maps.Keys(e.Secrets)) {
		r.Secret("secret variable "+name, e.Secrets[name])
	}
	if e.StdinSecret != "" {
		r.Secret("secret input", e.StdinSecret)
	}
}

// variables makes one text of an environment, in which no value passes for two variables.
func variables(env []string) string {
	lines := slices.Clone(env)
	for i, v := range lines {
		if strings.Contains(v, "\n") {
			lines[i] = strconv.Quote(v)
		}
	}
	return strings.Join(lines, "\n")
}

// Run runs the command.
func (e Exec) Run(ctx context.Context, s *stage.Session) error {
	c := stage.Command{Args: e.Args, Env: slices.Clone(e.Env), Dir: e.Dir}
	for _, name := range slices.Sorted(maps.Keys(e.Secrets)) {
		value, err := s.Secret(ctx, e.Secrets[name])
		if err != nil {
			return err
		}
		c.Env = append(c.Env, name+"="+string(value))
	}
	input := []byte(e.Stdin)
	if e.StdinSecret != "" {
		var err error
		if input, err = s.Secret(ctx, e.StdinSecret); err != nil {
			return err
		}
	}
	if len(input) > 0 {
		c.Stdin = bytes.NewReader(input)
	}
	return s.Exec(ctx, c)
}

// Script runs a shell script, which ends at its first failing command.
type Script struct {
	// Text is the script, for sh -eu.
	Text string

	// Env and Dir are as for [Exec].
	Env []string
	Dir string
}

// maxScript keeps below the kernel's limit for one argument, MAX_ARG_STRLEN.
const maxScript = 100 << 10

// String returns the script's first line.
func (t Script) String() string { return firstLine(t.Text) }

// Validate returns an error that matches [stage.ErrInvalid] if a field is wrong.
func (t Script) Validate() error {
	if strings.TrimSpace(t.Text) == "" {
		return invalid("empty script")
	}
	if len(t.Text) > maxScript {
		return invalid("script of %d bytes; one longer than %d must be copied as a file", len(t.Text), maxScript)
	}
	return t.exec().Validate()
}

// Manual returns the script's lines.
func (t Script) Manual(string) []stage.Line {
	var lines []stage.Line
	if t.Dir != "" {
		lines = typed("cd %s", shell.Quote(t.Dir))
	}
	for _, v := range t.Env {
		name, value, _ := strings.Cut(v, "=")
		lines = append(lines, stage.Line{Text: "export " + name + "=" + shell.Quote(value)})
	}
	return append(lines, stage.Line{Text: strings.Trim(t.Text, "\n")})
}

// Ingredients adds the script and its surroundings.
func (t Script) Ingredients(r *stage.Recipe) {
	r.Text("script", t.Text)
	r.Text("environment", variables(t.Env))
	r.Text("directory", t.Dir)
}

// Run feeds the script to a shell.
func (t Script) Run(ctx context.Context, s *stage.Session) error { return t.exec().Run(ctx, s) }

// The name "script" is what error messages of the shell begin with.
func (t Script) exec() Exec {
	return Exec{Args: []string{"sh", "-euc", t.Text, "script"}, Env: t.Env, Dir: t.Dir}
}

// hereDocument adds text to a command as its standard input.
func hereDocument(command, text string) string {
	end := "EOF"
	for strings.Contains("\n"+text, "\n"+end) {
		end += "F"
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return command + " <<'" + end + "'\n" + text + end
}
