package prolo

import (
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// python is the interpreter that everything of the payload runs with.
func (p Payload) python() string { return p.Prefix() + "/venv/bin/python" }

// install installs components of the payload, as a person would.
func (p Payload) install(components ...string) step.Exec {
	return step.Exec{
		Args: append([]string{p.python(), "install.py"}, components...),
		Dir:  checkout,
	}
}

// manage runs the command line of one of the payload's databases, mdb or udb.
func (p Payload) manage(app string, args ...string) step.Exec {
	return step.Command(p.manageArgs(app, args...)...)
}

func (p Payload) manageArgs(app string, args ...string) []string {
	return append([]string{p.python(), p.Prefix() + "/" + app + "/manage.py"}, args...)
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
