package stagetest

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/prologin/rig/stage"
)

// Program is what a [Machine] runs instead of a real program. A failure is an [ExitError].
type Program func(ctx context.Context, p *Proc) error

// Proc is one run of a [Program].
type Proc struct {
	stage.Command

	// Args are the program's name and arguments. Of a shell script that has a name,
	// they are those of the script.
	Args []string

	// Root is the machine's tree.
	Root *os.Root

	machine *Machine
}

// Printf prints to the program's standard output.
func (p *Proc) Printf(format string, args ...any) {
	if p.Stdout != nil {
		fmt.Fprintf(p.Stdout, format, args...)
	}
}

// Fail prints to the program's standard error and returns an exit status.
func (p *Proc) Fail(status int, format string, args ...any) error {
	if p.Stderr != nil {
		fmt.Fprintf(p.Stderr, p.Args[0]+": "+format+"\n", args...)
	}
	return ExitError(status)
}

func (p *Proc) input() ([]byte, error) {
	if p.Stdin == nil {
		return nil, nil
	}
	return io.ReadAll(p.Stdin)
}

// name returns a path of the machine as one in its tree.
func name(p string) string {
	if n := strings.TrimPrefix(path.Clean("/"+p), "/"); n != "" {
		return n
	}
	return "."
}

const unitDir = "/etc/units"

// builtin returns the programs that every machine has.
func builtin() map[string]Program {
	return map[string]Program{
		"true":       func(context.Context, *Proc) error { return nil },
		"false":      func(context.Context, *Proc) error { return ExitError(1) },
		"sync":       func(context.Context, *Proc) error { return nil },
		"journalctl": func(_ context.Context, p *Proc) error { p.Printf("-- no entries --\n"); return nil },
		"echo":       echo, "cat": cat, "append": appendTo, "rm": rm, "test": test, "head": head,
		"sleep": sleep, "systemctl": systemctl, "script": script,
		"write-file": writeFile, "copy-tree": copyIn,
	}
}

func echo(_ context.Context, p *Proc) error {
	p.Printf("%s\n", strings.Join(p.Args[1:], " "))
	return nil
}

func cat(_ context.Context, p *Proc) error {
	for _, f := range p.Args[1:] {
		data, err := p.Root.ReadFile(name(f))
		if err != nil {
			return p.Fail(1, "%s: No such file or directory", f)
		}
		p.Printf("%s", data)
	}
	return nil
}

// appendTo is "append FILE TEXT…": a command that is not idempotent, so that running
// it twice shows.
func appendTo(_ context.Context, p *Proc) error {
	file := name(p.Args[1])
	if err := p.Root.MkdirAll(path.Dir(file), 0o755); err != nil {
		return err
	}
	data, err := p.Root.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return p.Root.WriteFile(file, append(data, strings.Join(p.Args[2:], " ")+"\n"...), 0o644)
}

func rm(_ context.Context, p *Proc) error {
	if err := p.Root.RemoveAll(name(p.Args[len(p.Args)-1])); err != nil {
		return p.Fail(1, "%v", err)
	}
	return nil
}

func test(_ context.Context, p *Proc) error {
	if _, err := p.Root.Stat(name(p.Args[2])); err != nil {
		return ExitError(1)
	}
	return nil
}

func head(ctx context.Context, p *Proc) error {
	p.Args = []string{"head", p.Args[len(p.Args)-1]}
	return cat(ctx, p)
}

func sleep(ctx context.Context, p *Proc) error {
	seconds, err := strconv.ParseFloat(p.Args[1], 64)
	if err != nil {
		return p.Fail(1, "%v", err)
	}
	t := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errors.New("signal: killed")
	}
}

// script runs a program for each line.
func script(ctx context.Context, p *Proc) error {
	for line := range strings.Lines(p.Args[1]) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		c := p.Command
		c.Args = f
		if err := p.machine.Exec(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// systemctl knows enable, disable, start, stop, restart, reload, is-active, is-enabled.
func systemctl(_ context.Context, p *Proc) error {
	m := p.machine
	m.mu.Lock()
	defer m.mu.Unlock()
	now := false
	var units []string
	for _, a := range p.Args[2:] {
		if a == "--now" {
			now = true
		} else if !strings.HasPrefix(a, "-") {
			units = append(units, a)
		}
	}
	for _, u := range units {
		if err := unit(p, p.Args[1], u, now); err != nil {
			return err
		}
	}
	return nil
}

func unit(p *Proc, verb, u string, now bool) error {
	file := name(unitDir + "/" + u)
	active := p.machine.active
	switch verb {
	case "enable":
		if err := p.Root.MkdirAll(name(unitDir), 0o755); err != nil {
			return err
		}
		active[u] = active[u] || now
		return p.Root.WriteFile(file, nil, 0o644)
	case "disable":
		active[u] = active[u] && !now
		return p.Root.RemoveAll(file)
	case "start", "restart":
		active[u] = true
	case "stop":
		active[u] = false
	case "reload":
		if !active[u] {
			return p.Fail(1, "%s is not active, cannot reload.", u)
		}
	case "is-active":
		if !active[u] {
			p.Printf("inactive\n")
			return ExitError(3)
		}
		p.Printf("active\n")
	case "is-enabled":
		if _, err := p.Root.Stat(file); err != nil {
			p.Printf("disabled\n")
			return ExitError(1)
		}
		p.Printf("enabled\n")
	default:
		return p.Fail(1, "Unknown command verb %s.", verb)
	}
	return nil
}

// writeFile stands for the script of step.WriteFile: PATH MODE OWNER.
func writeFile(_ context.Context, p *Proc) error {
	data, err := p.input()
	if err != nil {
		return err
	}
	mode, err := strconv.ParseUint(p.Args[2], 8, 32)
	if err != nil {
		return p.Fail(1, "%v", err)
	}
	file := name(p.Args[1])
	if err := p.Root.MkdirAll(path.Dir(file), 0o755); err != nil {
		return err
	}
	return p.Root.WriteFile(file, data, fs.FileMode(mode))
}

// copyIn stands for the script of step.Copy: TARGET DIRECTORY.
func copyIn(_ context.Context, p *Proc) error {
	into := name(p.Args[2])
	tr := tar.NewReader(p.Stdin)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return p.Fail(2, "%v", err)
		}
		file := path.Join(into, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = p.Root.MkdirAll(file, 0o755)
		case tar.TypeSymlink:
			err = p.Root.Symlink(h.Linkname, file)
		case tar.TypeReg:
			var data []byte
			if data, err = io.ReadAll(tr); err == nil {
				if err = p.Root.MkdirAll(path.Dir(file), 0o755); err == nil {
					err = p.Root.WriteFile(file, data, fs.FileMode(h.Mode).Perm())
				}
			}
		}
		if err != nil {
			return p.Fail(2, "%v", err)
		}
	}
}
