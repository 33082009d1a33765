package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVXLANByHand types what the guide says of one lab over two hosts, in two network
// namespaces, and asks the one from the other.
func TestVXLANByHand(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: no network namespaces")
	}
	page, err := os.ReadFile(filepath.Join(top, "doc", "scale.md"))
	if err != nil {
		t.Fatal(err)
	}
	var here string
	for line := range strings.Lines(code(string(page))) {
		if strings.Contains(line, "ip link") {
			here += line
		}
	}
	there := strings.NewReplacer("192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.1").Replace(here)
	out := apart(t, "bash", "-euxc", `
		ip netns add far
		ip link add wire type veth peer name wire netns far
		host() {
			$3 ip address add 192.0.2.$1/24 dev wire; $3 ip link set wire up
			$3 ip link add vz-prolo type bridge
			$3 ip address add 10.0.0.$1/24 dev vz-prolo; $3 ip link set vz-prolo up
			$3 bash -euxc "$2"
		}
		host 1 "$0" ""
		host 2 "$1" "ip netns exec far"
		ping -c 1 -w 10 10.0.0.2`, here, there)
	if !strings.Contains(out, "1 received") {
		t.Errorf("no answer:\n%s", out)
	}
}
