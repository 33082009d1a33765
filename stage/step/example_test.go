package step_test

import (
	"fmt"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/step"
)

// Every step says what a person would type.
func Example() {
	for _, s := range []stage.Step{
		step.Exec{Args: []string{"python3", "install.py", "mdb"}, Dir: "/root/sadm"},
		step.WriteFile{Path: "/etc/hostname", Content: "gw\n"},
		step.Enable{Units: []string{"mdb.service"}, Now: true},
		step.Copy{From: "sadm", To: "/root/sadm"},
	} {
		for _, line := range s.Manual("gw") {
			where := "gw"
			if line.Host {
				where = "host"
			}
			fmt.Printf("%s# %s\n", where, line.Text)
		}
	}
	// Output:
	// gw# cd /root/sadm && python3 install.py mdb
	// gw# cat >/etc/hostname <<'EOF'
	// gw
	// EOF
	// gw# systemctl enable --now mdb.service
	// host# machinectl copy-to gw sadm /root/sadm
}
