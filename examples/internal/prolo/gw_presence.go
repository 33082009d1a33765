package prolo

import (
	"context"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// gwPresence is who is logged in where, and what they may do then.
func gwPresence(p Payload) []stage.Stage {
	return []stage.Stage{
		{
			Name:   "presencesync",
			Doc:    "Start what knows who is logged in where.",
			Steps:  p.service("presencesync"),
			Checks: enabledActive("presencesync.service"),
		},
		{
			Name:  "presencesync_sso",
			Doc:   "Tell web servers who asks.",
			Steps: p.service("presencesync_sso"),
			Checks: append(enabledActive("presencesync_sso.service"),
				// A page, or a redirection to where one logs in: both have the header.
				check.Command{Args: []string{"curl", "-sS", "-o", "/dev/null", "-D", "-", "http://mdb/"}, Output: "X-SSO-Backend-Status: working"},
				p.whilePresent("curl -sS -o /dev/null -D - http://mdb/ | grep -i '^X-SSO-User: nathalie'"),
			),
		},
		{
			Name: "firewall",
			Doc:  "Let through what may leave.",
			Steps: []stage.Step{
				p.install("firewall"),
				step.Command("sed", "-i", "/MASQUERADE/s/-o [^ ]*/-o host0/", "/etc/prologin/iptables.save"),
				step.Enable{Units: []string{"firewall.service"}, Now: true},
			},
			Checks: append(enabledActive("firewall.service"),
				check.Command{Args: []string{"iptables", "-t", "nat", "-S"}, Output: "MASQUERADE"}),
		},
		{
			Name: "presencesync_firewall",
			Doc:  "Let those through who are logged in.",
			Steps: []stage.Step{
				p.install("presencesync_firewall"),
				step.Enable{Units: []string{"presencesync_firewall.service"}, Now: true},
			},
			Checks: append(enabledActive("presencesync_firewall.service"),
				p.whilePresent("ipset test allowed-internet-access "+LANAddress)),
		},
		{
			Name:   "hfsdb",
			Doc:    "Make the database of who has a home where.",
			Steps:  []stage.Step{p.install("hfsdb")},
			Checks: []stage.Check{psql("hfs", "SELECT to_regclass('user_location')", "user_location")},
		},
		{
			Name:   "last",
			Doc:    "Check all that gw is for, as the payload itself does.",
			Checks: []stage.Check{check.Run(checkout + "/checks/check_gw.sh")},
		},
	}
}

// whilePresent holds when a command comes to succeed within a while for which
// nathalie seems to be logged in on gw.
func (p Payload) whilePresent(command string) stage.Check {
	args := []string{"timeout", "20", "sh", "-c", whilePresent, "while-present", p.python(), command}
	return check.Func{
		Name: command + " succeeds once nathalie seems to be on gw",
		Text: p.python() + " -m prologin.devtool.fakepresence nathalie gw & " + command + "; kill $!",
		Look: func(ctx context.Context, s *stage.Session) error {
			_, err := s.Output(ctx, args...)
			return err
		},
	}
}

const whilePresent = `"$1" -m prologin.devtool.fakepresence nathalie gw &
trap "kill $!" EXIT
until eval "$2"; do
	kill -0 $! || exit 1
	sleep 0.2
done`
