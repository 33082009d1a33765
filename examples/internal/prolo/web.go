package prolo

import (
	"path"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

var web = record{
	machine: MachineWeb, ip: "192.168.1.100", mtype: "service", room: "pasteur",
	aliases: "db,concours,wiki,bugs,redmine,docs,home,paste,map,masternode",
}

// What the site of the contest needs, which comes neither with it nor with the payload:
// the rules of a game, and files of its own.
const (
	game   = applications + "/prologin2042"
	static = applications + "/concours_static"
)

// webStages are the stages of web, which has the sites of the contest.
func webStages(p Payload) []stage.Stage {
	return []stage.Stage{
		web.addToMDB(p),
		web.allowRootSSH(),
		p.CopySADM(),
		setupSADM(p),
		{
			Name:   "setup_web",
			Doc:    "Install the packages of web.",
			Steps:  []stage.Step{step.Command(checkout + "/install_scripts/setup_web.sh")},
			Checks: []stage.Check{check.FilePresent{Path: "/usr/bin/nginx"}, check.FilePresent{Path: "/usr/bin/initdb"}},
		},
		setupLibprologin(p),
		{
			Name: "setup_udbsync_rootssh",
			Doc:  "Let those in who are root in the user database.",
			Steps: []stage.Step{
				p.install("udbsync_rootssh"),
				step.Enable{Units: []string{"udbsync_rootssh.service"}, Now: true},
			},
			Checks: append(enabledActive("udbsync_rootssh.service"),
				check.FileContains{Path: "/root/.ssh/authorized_keys", Text: "ssh-rsa"}),
			Needs: []string{MachineGW + "/last"},
		},
		web.setupNetwork(p, "systemd_networkd_web", "/etc/systemd/network/10-web.network"),
		setupNginx(p),
		setupPostgreSQL(p),
		{
			Name: "setup_concours",
			Doc:  "Start the site of the contest.",
			Steps: []stage.Step{
				p.install("concours"),
				step.Command("install", "-d", game, static),
				step.Command("sed", "-i", "-e", `s|^\( *game:\).*|\1 `+path.Base(game)+`|`,
					"-e", `s|^\( *static_path:\).*|\1 `+static+`|`, "/etc/prologin/concours.yml"),
				step.Command("sed", "-i", "s|# *\\(include services_contest/\\)|\\1|", "/etc/nginx/nginx.conf"),
				step.Enable{Units: []string{"concours.service", "udbsync_django@concours.service"}, Now: true},
				step.Reload{Units: []string{"nginx.service"}},
			},
			Checks: append(enabledActive("concours.service", "udbsync_django@concours.service"),
				check.Run("curl", "-sSf", "-o", "/dev/null", "http://concours/"),
				psql("concours", "SELECT username FROM auth_user", contestant)),
			Needs: []string{MachineGW + "/last"},
		},
		{
			Name: "setup_homepage",
			Doc:  "Start the page with which browsers begin.",
			Steps: []stage.Step{
				p.install("homepage"),
				step.Enable{Units: []string{"homepage.service", "udbsync_django@homepage.service"}, Now: true},
				step.Reload{Units: []string{"nginx.service"}},
			},
			Checks: append(enabledActive("homepage.service", "udbsync_django@homepage.service"),
				check.Run("curl", "-sSf", "-o", "/dev/null", "http://home/")),
			Needs: []string{MachineGW + "/last"},
		},
		{
			Name: "setup_masternode",
			Doc:  "Start what hands submissions to the worker nodes.",
			Steps: []stage.Step{
				p.install("masternode"),
				step.Enable{Units: []string{"masternode.service"}, Now: true},
			},
			Checks: enabledActive("masternode.service"),
		},
		{
			Name:  "setup_redmine",
			Doc:   "Start the bug tracker.",
			Steps: []stage.Step{p.install("redmine")},
			Skip:  "not ready yet, says the document",
		},
	}
}
