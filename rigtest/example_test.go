package rigtest_test

import (
	"strings"
	"testing"

	"github.com/prologin/rig/rigtest"
)

// Two machines of a test talk to each other. Both are gone when it ends.
func Example() {
	var t *testing.T // the test's own
	lab := rigtest.New(t)
	server, client := lab.Machine("server"), lab.Machine("client")
	server.Run("systemctl", "start", "sshd.service")
	banner := client.Run("bash", "-c", "read -r line </dev/tcp/"+server.Address.String()+"/22; echo $line")
	if !strings.HasPrefix(banner, "SSH-2.0-") {
		t.Errorf("the server says %q", banner)
	}
}

// A base with more in it than an SSH server, which the machines of all tests with this
// configuration are cloned from.
func ExampleConfig_New() {
	var t *testing.T // the test's own
	lab := rigtest.Config{Packages: []string{"base", "nginx"}, AddOns: []string{"nginx"}}.New(t)
	web := lab.Machine("web")
	web.Run("systemctl", "start", "nginx.service")
}
