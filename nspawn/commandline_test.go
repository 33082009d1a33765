package nspawn

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/prologin/rig/internal/golden"
)

// samples are configurations that between them use every field.
var samples = map[string]Config{
	"minimal": {Name: "gw", Root: "/var/lib/machines/gw"},
	"gateway": {
		Name: "mygw", Root: "/srv/my roots/gw", Hostname: "gw", MachineID: "0123456789abcdef0123456789abcdef",
		KernelCommandLine: []string{"systemd.mask=systemd-networkd-wait-online.service"},
		Environment:       []string{"GREETING=it's me"},
		Network: Network{
			Zone: "prolo", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1},
			Extra: []Veth{{Host: "gw.local"}, {Host: "gw.bridge", Machine: "lan0"}},
			Ports: []Port{{Host: 8080, Machine: 80}, {Protocol: "udp", Host: 53}},
		},
		Capabilities: []string{"CAP_NET_ADMIN", "CAP_SYS_TIME"}, KernelVariables: AccessNetwork,
		SuppressSync: true,
	},
	"contestant": {
		Name: "pas-r11p11.prolo", Root: "/export/nfsroot_ro", ReadOnly: true,
		Network: Network{Bridge: "vz-prolo", Interfaces: []string{"wan0"}, MACVLAN: []string{"eth1"}, IPVLAN: []string{"eth2"}},
		Binds: []Bind{
			{Source: "/srv/a:b", Target: "/mnt/a:b", ReadOnly: true},
			{Source: "/srv/maybe", Optional: true, NoRecursive: true, IDMap: true},
			{Target: "/scratch"},
		},
		Tmpfs:        []Tmpfs{{Target: "/home", Options: "mode=0755"}, {Target: "/var/log"}},
		Overlays:     []Overlay{{Layers: []string{"/base", "/upper"}, Target: "/opt"}, {Layers: []string{"/a", "/b"}, Target: "/usr/local", ReadOnly: true}},
		Inaccessible: []string{"/root/secret"},
		Devices:      []string{"/dev/nbd0", "-/dev/kvm"},
		Limits:       Limits{Memory: 512 << 20, CPUs: 0.29, Tasks: 400, OpenFiles: 4096},
		Reboot:       RebootStop, Console: ConsoleReadOnly,
	},
	"contained": {
		Name: "web", Root: "/roots/web", Ephemeral: true, Volatile: VolatileState,
		Users:            Users{Mode: UsersRange, Base: 1 << 20},
		Network:          Network{Veth: true},
		DropCapabilities: []string{"CAP_NET_ADMIN"}, SystemCallFilter: []string{"@keyring", "~ptrace"},
		Credentials: []Credential{{ID: "passwd.plaintext-password.root", Value: "a\\b\n"}, {ID: "firstboot.locale", Path: "/etc/locale"}},
		ResolvConf:  "copy-host", Timezone: "copy", LinkJournal: "try-guest", KillSignal: "SIGRTMIN+3",
	},
	"command": {
		Name: "job", Root: "/roots/job", Command: []string{"sh", "-c", "echo \"$HOME\""},
		Network: Network{Namespace: "/run/netns/lab"},
	},
	"shared": {Name: "shared", Root: "/roots/shared", Network: Network{Host: true}, Users: Users{Mode: UsersPick, Ownership: "auto"}},
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for name, config := range samples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := config.Validate(); err != nil {
				t.Errorf("the sample does not validate: %v", err)
			}
			golden.Equal(t, filepath.Join("testdata", name+".sh"), config.CommandLine().String()+"\n")
		})
	}
}
