package prolo

import (
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// python is the interpreter that everything of the payload runs with.
func (p Payload) python() string { return p.venv() + "/bin/python" }

// install installs components of the payload, as a person would.
func (p Payload) install(components ...string) activated {
	return activated{p.venv(), step.Exec{
		Args: append([]string{p.python(), "install.py"}, components...),
		Env:  []string{"VIRTUAL_ENV=" + p.venv(), "PATH=" + p.venv() + "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Dir:  checkout,
	}}
}

// activated is a program that runs in an activated Python environment: the installer
// refuses to work elsewhere, and what it calls python has to be that of the environment.
type activated struct {
	venv string
	step.Exec
}

// Manual returns the command line after that which activates the environment.
func (a activated) Manual(machine string) []stage.Line {
	activate := ". " + a.venv + "/bin/activate && "
	a.Env = nil
	lines := a.Exec.Manual(machine)
	lines[0].Text = activate + lines[0].Text
	return lines
}

// manage runs the command line of one of the payload's databases, mdb or udb.
func (p Payload) manage(app string, args ...string) step.Exec {
	return step.Command(p.manageArgs(app, args...)...)
}

func (p Payload) manageArgs(app string, args ...string) []string {
	return append([]string{p.python(), applications + "/" + app + "/manage.py"}, args...)
}

// service installs a component that nginx stands in front of, and starts its unit
// of the same name.
func (p Payload) service(component string) []stage.Step {
	return []stage.Step{
		p.install(component),
		step.Enable{Units: []string{component + ".service"}, Now: true},
		step.Reload{Units: []string{"nginx.service"}},
	}
}

// enabledActive holds for units that run and will after the next boot.
func enabledActive(units ...string) []stage.Check {
	var checks []stage.Check
	for _, unit := range units {
		checks = append(checks, check.UnitEnabled{Name: unit}, check.UnitActive{Name: unit})
	}
	return checks
}

// psql holds when a query of a database prints a text.
func psql(database, query, output string) stage.Check {
	return check.Command{Args: []string{"psql", "-U", "postgres", "-d", database, "-Atc", query}, Output: output}
}
