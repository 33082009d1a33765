// Package embedded is what a test of another module looks like.
package embedded

import (
	"strings"
	"testing"

	"github.com/prologin/rig/rigtest"
)

func TestServer(t *testing.T) {
	lab := rigtest.New(t)
	server, client := lab.Machine("server"), lab.Machine("client")
	server.Run("systemctl", "start", "sshd.service")
	banner := client.Run("bash", "-c", "read -r line </dev/tcp/"+server.Address.String()+"/22; echo $line")
	if !strings.HasPrefix(banner, "SSH-2.0-") {
		t.Errorf("the server says %q", banner)
	}
}

func TestJournalOfFailure(t *testing.T) {
	lab := rigtest.New(t)
	machine := lab.Machine("sad")
	machine.Run("sh", "-c", "echo something is amiss | systemd-cat -t witness")
	machine.Run("false")
}
