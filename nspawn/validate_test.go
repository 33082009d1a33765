package nspawn

import (
	"errors"
	"math"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		field  string
		change func(*Config)
	}{
		{"Name", func(c *Config) { c.Name = "" }},
		{"Name", func(c *Config) { c.Name = strings.Repeat("x", 65) }},
		{"Name", func(c *Config) { c.Name = "a/b" }},
		{"Name", func(c *Config) { c.Name = ".." }},
		{"Name", func(c *Config) { c.Name = "a..b" }},
		{"Name", func(c *Config) { c.Name = "-a" }},
		{"Name", func(c *Config) { c.Name = "ü" }},
		{"Root", func(c *Config) { c.Root = "" }},
		{"Root", func(c *Config) { c.Root = "relative" }},
		{"Root", func(c *Config) { c.Root = "/" }},
		{"Root", func(c *Config) { c.Root = "/a/../.." }},
		{"Root", func(c *Config) { c.Root = "/a\nb" }},
		{"Hostname", func(c *Config) { c.Hostname = "a b" }},
		{"MachineID", func(c *Config) { c.MachineID = "abc" }},
		{"MachineID", func(c *Config) { c.MachineID = strings.Repeat("0", 32) }},
		{"Command[0]", func(c *Config) { c.Command = []string{""} }},
		{"Command[1]", func(c *Config) { c.Command = []string{"a", "b\nc"} }},
		{"KernelCommandLine", func(c *Config) { c.Command, c.KernelCommandLine = []string{"a"}, []string{"b"} }},
		{"KernelCommandLine[0]", func(c *Config) { c.KernelCommandLine = []string{"two words"} }},
		{"KernelCommandLine[0]", func(c *Config) { c.KernelCommandLine = []string{"--unit=x"} }},
		{"Environment[0]", func(c *Config) { c.Environment = []string{"NOVALUE"} }},
		{"Environment[0]", func(c *Config) { c.Environment = []string{"A B=c"} }},
		{"Credentials[0].ID", func(c *Config) { c.Credentials = []Credential{{ID: "a/b", Value: "x"}} }},
		{"Credentials[0]", func(c *Config) { c.Credentials = []Credential{{ID: "a", Value: "x", Path: "/y"}} }},
		{"Credentials[1].ID", func(c *Config) { c.Credentials = []Credential{{ID: "a", Value: "x"}, {ID: "a", Value: "y"}} }},
		{"Network", func(c *Config) { c.Network = Network{Host: true, Zone: "z"} }},
		{"Network", func(c *Config) { c.Network = Network{Host: true, Interfaces: []string{"eth0"}} }},
		{"Network.Zone", func(c *Config) { c.Network.Zone = "thirteen-long" }},
		{"Network.Bridge", func(c *Config) { c.Network.Bridge = "sixteen-is-a-lot" }},
		{"Network.Bridge", func(c *Config) { c.Network.Bridge = "a/b" }},
		{"Network.Namespace", func(c *Config) { c.Network.Namespace = "relative" }},
		{"Network.MAC", func(c *Config) { c.Network.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 1} }},
		{"Network.MAC", func(c *Config) { c.Network = Network{Veth: true, MAC: net.HardwareAddr{1, 0, 0, 0, 0, 1}} }},
		{"Network.Interfaces[0]", func(c *Config) { c.Network.Interfaces = []string{""} }},
		{"Network.MACVLAN[0]", func(c *Config) { c.Network.MACVLAN = []string{"a b"} }},
		{"Network.IPVLAN[0]", func(c *Config) { c.Network.IPVLAN = []string{"123"} }},
		{"Network.Extra[0].Host", func(c *Config) { c.Network.Extra = []Veth{{}} }},
		{"Network.Extra[0].Machine", func(c *Config) { c.Network.Extra = []Veth{{Host: "a", Machine: "b:c"}} }},
		{"Network.Ports", func(c *Config) { c.Network.Ports = []Port{{Host: 80}} }},
		{"Network.Ports[0].Host", func(c *Config) { c.Network = Network{Veth: true, Ports: []Port{{}}} }},
		{"Network.Ports[0].Protocol", func(c *Config) { c.Network = Network{Veth: true, Ports: []Port{{Host: 1, Protocol: "sctp"}}} }},
		{"Network.Ports[1]", func(c *Config) {
			c.Network = Network{Veth: true, Ports: []Port{{Host: 1}, {Host: 1, Protocol: "tcp", Machine: 2}}}
		}},
		{"Binds[0]", func(c *Config) { c.Binds = []Bind{{}} }},
		{"Binds[0].Source", func(c *Config) { c.Binds = []Bind{{Source: "a"}} }},
		{"Binds[0].Target", func(c *Config) { c.Binds = []Bind{{Source: "/a", Target: "/"}} }},
		{"Binds[0].Target", func(c *Config) { c.Binds = []Bind{{Source: "/a", Target: "/b/../../c"}} }},
		{"Tmpfs[0].Target", func(c *Config) { c.Tmpfs = []Tmpfs{{}} }},
		{"Tmpfs[0].Options", func(c *Config) { c.Tmpfs = []Tmpfs{{Target: "/a", Options: "x\ny"}} }},
		{"Overlays[0].Layers", func(c *Config) { c.Overlays = []Overlay{{Layers: []string{"/a"}, Target: "/b"}} }},
		{"Overlays[0].Layers[0]", func(c *Config) { c.Overlays = []Overlay{{Layers: []string{"", "/a"}, Target: "/b"}} }},
		{"Inaccessible[0]", func(c *Config) { c.Inaccessible = []string{"a"} }},
		{"Devices[0]", func(c *Config) { c.Devices = []string{"/etc/passwd"} }},
		{"Devices[0]", func(c *Config) { c.Devices = []string{"/dev/../etc"} }},
		{"Capabilities[0]", func(c *Config) { c.Capabilities = []string{"net_admin"} }},
		{"DropCapabilities[0]", func(c *Config) { c.DropCapabilities = []string{"CAP_A,CAP_B"} }},
		{"SystemCallFilter[0]", func(c *Config) { c.SystemCallFilter = []string{"a b"} }},
		{"KernelVariables", func(c *Config) { c.KernelVariables = "maybe" }},
		{"KernelVariables", func(c *Config) { c.KernelVariables, c.Users.Mode = AccessAll, UsersPick }},
		{"Users.Mode", func(c *Config) { c.Users.Mode = "maybe" }},
		{"Users.Mode", func(c *Config) { c.Users.Mode, c.Network.Namespace = UsersPick, "/run/netns/x" }},
		{"Users.Base", func(c *Config) { c.Users = Users{Mode: UsersRange, Base: 1000} }},
		{"Users.Ownership", func(c *Config) { c.Users = Users{Mode: UsersPick, Ownership: "chown"} }},
		{"Limits.Memory", func(c *Config) { c.Limits.Memory = 1 }},
		{"Limits.CPUs", func(c *Config) { c.Limits.CPUs = -1 }},
		{"Limits.CPUs", func(c *Config) { c.Limits.CPUs = math.NaN() }},
		{"Volatile", func(c *Config) { c.Volatile = "maybe" }},
		{"Ephemeral", func(c *Config) { c.Ephemeral, c.ReadOnly = true, true }},
		{"ResolvConf", func(c *Config) { c.ResolvConf = "maybe" }},
		{"Timezone", func(c *Config) { c.Timezone = "maybe" }},
		{"LinkJournal", func(c *Config) { c.LinkJournal = "maybe" }},
		{"KillSignal", func(c *Config) { c.KillSignal = "SIGNONE" }},
		{"Stop", func(c *Config) { c.Stop.Poweroff = -time.Second }},
		{"Reboot", func(c *Config) { c.Reboot = "maybe" }},
		{"Console", func(c *Config) { c.Console = "maybe" }},
	} {
		config := Config{Name: "good", Root: "/good"}
		if err := config.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(&config)
		var fault *Fault
		err := config.Validate()
		if !errors.Is(err, ErrInvalid) || !errors.As(err, &fault) || fault.Field != c.field {
			t.Errorf("%s: %v", c.field, err)
		}
	}
}

// TestValidateCoversAll keeps a new field from being forgotten: each occurs in a
// sample, which the golden files show.
func TestValidateCoversAll(t *testing.T) {
	t.Parallel()
	kind := reflect.TypeFor[Config]()
	for i := range kind.NumField() {
		used := false
		for _, sample := range samples {
			used = used || !reflect.ValueOf(sample).Field(i).IsZero()
		}
		if name := kind.Field(i).Name; !used && name != "Stop" {
			t.Errorf("no sample has %s", name)
		}
	}
}

func TestParseSignal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]unix.Signal{
		"SIGTERM": unix.SIGTERM, "TERM": unix.SIGTERM, "15": 15, "SIGRTMIN+4": 38, "RTMIN": 34, "SIGRTMAX-1": 63,
		"": 0, "SIG": 0, "SIGRTMIN+": 0, "SIGRTMIN+99": 0, "SIGRTMIN-1": 0, "RTMIN4": 0, "65": 0, "-1": 0,
	} {
		if got, err := parseSignal(text); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestParseNotification(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]notification{
		"STATUS=Container running.\nX_NSPAWN_LEADER_PID=4711": {leader: 4711, status: "Container running."},
		"READY=1\n":                    {ready: true},
		"READY=0\nSTOPPING=1":          {stopping: true},
		"X_NSPAWN_LEADER_PID=-1\nodd":  {},
		"X_NSPAWN_LEADER_PID=1x\n\n\n": {},
		"":                             {},
	} {
		if got := parseNotification(text); got != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func FuzzParseNotification(f *testing.F) {
	f.Add("STATUS=x\nX_NSPAWN_LEADER_PID=4711\nREADY=1")
	f.Fuzz(func(t *testing.T, text string) {
		if n := parseNotification(text); n.leader < 0 {
			t.Errorf("leader %d", n.leader)
		}
	})
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"systemd 252 (252.39-1~deb12u2)\n+PAM": 252, "systemd 257~rc1": 257, "systemd 261": 261, "busybox": 0, "systemd": 0,
	} {
		if got, err := parseVersion(text); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestEscapeDetector(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1, 0)
	for _, c := range []struct {
		keys   string
		within time.Duration
		left   bool
	}{
		{"\x1d\x1d\x1d", 0, true}, {"\x1d\x1d\x1d", 900 * time.Millisecond, true}, {"\x1d\x1d\x1d", 1100 * time.Millisecond, false},
		{"\x1d\x1dx\x1d", 0, false}, {"\x1d\x1d", 0, false}, {"\x1d\x1d\x1d\x1d", 1400 * time.Millisecond, true},
	} {
		var d escapeDetector
		left := false
		for i := range len(c.keys) {
			at := begin.Add(c.within * time.Duration(i) / time.Duration(max(1, len(c.keys)-1)))
			_, now := d.scan([]byte{c.keys[i]}, at)
			left = left || now
		}
		if left != c.left {
			t.Errorf("%q within %v: left %v", c.keys, c.within, left)
		}
	}
}

func TestTailLines(t *testing.T) {
	t.Parallel()
	got := tailLines([]byte("a\r\n\x1b[0;32mOK\x1b[0m b\n\n\x07c\n"), 2)
	if !reflect.DeepEqual(got, []string{"OK b", "c"}) {
		t.Errorf("%q", got)
	}
}
