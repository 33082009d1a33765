package prolo

import (
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// gwUsers are the user database and what follows it.
func gwUsers(p Payload) []stage.Stage {
	sheet := func(kind string) stage.Check {
		return check.Command{Args: p.manageArgs("udb", "pwdsheetdata", "--type="+kind)}
	}
	batchImport := func(args ...string) step.Exec {
		return p.manage("udb", append([]string{"batchimport", "--update"}, args...)...)
	}
	return []stage.Stage{
		{
			Name:   "udb",
			Doc:    "Start the user database.",
			Steps:  p.service("udb"),
			Checks: append(enabledActive("udb.service"), sheet("user"), sheet("orga"), sheet("root")),
		},
		{
			Name: "add_users_to_udb",
			Doc:  "Import contestants, organisers and roots.",
			Steps: []stage.Step{
				step.WriteFile{Path: "/root/finalistes.txt", Content: "Alain\tProviste\nJoseph\tMarchand\n"},
				step.WriteFile{Path: "/root/orgas.txt", Content: "cana_p\nlogin_x\n"},
				step.WriteFile{Path: "/root/roots.txt", Content: "root_gw\nnathalie\nkrisboul\nmarwan\n"},
				batchImport("--file=/root/finalistes.txt"),
				batchImport("--logins", "--type=orga", "--pwdlen=10", "--file=/root/orgas.txt"),
				batchImport("--logins", "--type=root", "--pwdlen=10", "--file=/root/roots.txt"),
			},
			Checks: []stage.Check{
				psql("udb", "SELECT login FROM udb_user", "root_gw"),
				psql("udb", "SELECT login FROM udb_user", "aproviste"),
				sheet("user"), sheet("orga"), sheet("root"),
			},
		},
		{
			Name: "create_root_ssh_key",
			Doc:  "Make the key by which gw's root enters the other machines.",
			Steps: []stage.Step{
				step.Command("install", "-d", "-m", "700", "/root/.ssh"),
				step.Command("ssh-keygen", "-t", "rsa", "-f", "/root/.ssh/id_rsa", "-q", "-N", ""),
			},
			Checks: []stage.Check{
				check.FilePresent{Path: "/root/.ssh/id_rsa"},
				check.FilePresent{Path: "/root/.ssh/id_rsa.pub"},
			},
		},
		{
			Name:   "add_ssh_key_to_udb",
			Doc:    "Give root_gw that key.",
			Steps:  []stage.Step{p.manage("udb", "usermod", "root_gw", "--ssh-pubkey-file", "/root/.ssh/id_rsa.pub")},
			Checks: []stage.Check{psql("udb", "SELECT login FROM udb_user WHERE ssh_key <> ''", "root_gw")},
		},
		{
			Name:   "udbsync",
			Doc:    "Start what others follow the user database by.",
			Steps:  p.service("udbsync"),
			Checks: enabledActive("udbsync.service"),
		},
		{
			Name: "udbsync_clients",
			Doc:  "Give the users accounts in the databases, and roots the way in.",
			Steps: []stage.Step{
				p.install("udbsync_django", "udbsync_rootssh"),
				step.Enable{Units: udbsyncClients, Now: true},
			},
			Checks: append(enabledActive(udbsyncClients...),
				psql("mdb", "SELECT username FROM auth_user", "root_gw"),
				check.FileContains{Path: "/root/.ssh/authorized_keys", Text: "ssh-rsa"}),
		},
	}
}

var udbsyncClients = []string{"udbsync_django@mdb.service", "udbsync_django@udb.service", "udbsync_rootssh.service"}
