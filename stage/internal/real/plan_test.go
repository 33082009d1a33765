package real

import (
	"net/netip"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

const (
	gwAddress  = "10.0.0.254"
	webAddress = "10.0.0.2"
)

func address(machine, addr string) stage.Stage {
	return stage.Stage{
		Name: "network",
		Steps: []stage.Step{
			step.WriteFile{Path: "/etc/systemd/network/10-host0.network", Content: "[Match]\nName=host0\n\n[Network]\nAddress=" + addr + "/24\n"},
			step.Restart{Units: []string{"systemd-networkd.service"}},
		},
		Checks: []stage.Check{check.HasAddress{Interface: "host0", Address: netip.MustParsePrefix(addr + "/24")}},
	}
}

// A web server of systemd's and sh's: the least that is a real service.
const (
	helloSocket = "[Socket]\nListenStream=80\nAccept=yes\n\n[Install]\nWantedBy=sockets.target\n"
	helloServer = "[Service]\nStandardInput=socket\nStandardOutput=socket\nExecStart=/bin/sh /srv/serve\n"
	helloScript = `while read -r line && [ "${line%?}" ]; do :; done
printf 'HTTP/1.0 200 OK\r\n\r\n'; cat /srv/page
`
)

// walkPlan is gw, which serves a page that is made of a file of the host, and web, which
// fetches it.
func walkPlan(input string) stage.Plan {
	return stage.Plan{Name: "walk", Setups: []stage.Setup{
		{Machine: "gw", Base: "debian", Stages: []stage.Stage{
			address("gw", gwAddress),
			{Name: "hello", Steps: []stage.Step{
				step.WriteFile{Path: "/etc/systemd/system/hello.socket", Content: helloSocket},
				step.WriteFile{Path: "/etc/systemd/system/hello@.service", Content: helloServer},
				step.WriteFile{Path: "/srv/serve", Content: helloScript},
				step.WriteFile{Path: "/srv/page", Content: "empty\n"},
				step.Enable{Units: []string{"hello.socket"}, Now: true},
			}, Checks: []stage.Check{
				check.UnitEnabled{Name: "hello.socket"}, check.UnitActive{Name: "hello.socket"},
				check.URL{URL: "http://127.0.0.1/", Body: "empty", Inside: true},
			}},
			{Name: "page", Steps: []stage.Step{step.Copy{From: input, To: "/srv/page"}},
				Checks: []stage.Check{check.URL{URL: "http://127.0.0.1/", Body: "page", Inside: true}}},
			{Name: "last", Steps: []stage.Step{step.Script{Text: "wc -c </srv/page >/srv/size"}}},
		}},
		{Machine: "web", Base: "debian", Stages: []stage.Stage{
			address("web", webAddress),
			{Name: "fetch", Needs: []string{"gw/page"},
				Steps:  []stage.Step{step.Exec{Args: []string{"bash", "-c", `exec 3<>/dev/tcp/` + gwAddress + `/80; printf 'GET / HTTP/1.0\r\n\r\n' >&3; tail -n 1 <&3 >/root/page`}}},
				Checks: []stage.Check{check.URL{URL: "http://" + gwAddress + "/", Body: "page", Inside: true}}},
			{Name: "report", Steps: []stage.Step{step.Script{Text: "cat /root/page /root/page >/root/report"}}},
		}},
	}}
}
