package prolo

import (
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// setupSADM is the stage of that name of every server.
func setupSADM(p Payload) stage.Stage {
	return stage.Stage{
		Name:  "setup_sadm",
		Doc:   "Install what every machine has: common packages and a Python environment.",
		Steps: []stage.Step{step.Command(checkout + "/install_scripts/setup_sadm.sh")},
		Checks: []stage.Check{
			check.FilePresent{Path: checkout},
			check.FilePresent{Path: p.python()},
		},
	}
}

// setupLibprologin is the stage of that name of every server.
func setupLibprologin(p Payload) stage.Stage {
	withSecret := p.install("sadm_secret")
	withSecret.Secrets = map[string]string{masterSecret: masterSecret}
	return stage.Stage{
		Name:   "setup_libprologin",
		Doc:    "Install the secret that all others derive from, and the library of the services.",
		Steps:  []stage.Step{withSecret, p.install("libprologin")},
		Checks: []stage.Check{check.Run(p.python(), "-c", "import prologin")},
	}
}

// setupPostgreSQL is the stage of that name of gw and web.
func setupPostgreSQL(p Payload) stage.Stage {
	return stage.Stage{
		Name: "setup_postgresql",
		Doc:  "Start the database server.",
		Steps: []stage.Step{
			p.install("postgresql"),
			step.Enable{Units: []string{"postgresql.service"}, Now: true},
		},
		Checks: append(enabledActive("postgresql.service"),
			check.Run("psql", "-U", "postgres", "-c", `\l`)),
	}
}

// setupNginx is the stage of that name of gw and web.
func setupNginx(p Payload) stage.Stage {
	return stage.Stage{
		Name: "setup_nginx",
		Doc:  "Start the web server that stands in front of all services.",
		Steps: []stage.Step{
			step.Install{Packages: []string{"nginx"}},
			p.install("nginxcfg"),
			step.Command("mv", "/etc/nginx/nginx.conf.new", "/etc/nginx/nginx.conf"),
			step.Enable{Units: []string{"nginx.service"}, Now: true},
		},
		Checks: append(enabledActive("nginx.service"),
			check.URL{URL: "http://localhost/nothing", Status: 404, Inside: true}),
	}
}
