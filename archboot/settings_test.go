package archboot

import (
	"net/netip"
	"strings"
	"testing"
)

func TestNetworkConf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		network Network
		want    string
	}{
		{Network{None: true}, ""},
		{Network{}, "[Match]\nName=eth* en* host*\n\n[Network]\nLLDP=yes\nEmitLLDP=yes\nDHCP=yes\n"},
		{Network{
			Match:     []string{"host0"},
			Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.254/24"), netip.MustParsePrefix("fd00::1/64")},
			Gateway:   netip.MustParseAddr("10.0.0.1"),
		}, "[Match]\nName=host0\n\n[Network]\nLLDP=yes\nEmitLLDP=yes\nAddress=10.0.0.254/24\nAddress=fd00::1/64\nGateway=10.0.0.1\n"},
	} {
		if got := networkConf(test.network); got != test.want {
			t.Errorf("%+v:\n%s\nwant:\n%s", test.network, got, test.want)
		}
	}
}

func TestResolverReplacesSymlink(t *testing.T) {
	t.Parallel()
	tree := treeWith(t, map[string]string{"etc/resolv.conf": "->../run/systemd/resolve/stub-resolv.conf"})
	err := writeResolver(tree, Resolver{
		Servers: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.53")},
		Search:  []string{"prolo"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = "nameserver 127.0.0.1\nnameserver 192.0.2.53\nsearch prolo\n"
	if got, err := tree.ReadFile("/etc/resolv.conf"); string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestWithLocale(t *testing.T) {
	t.Parallel()
	const line = "en_US.UTF-8 UTF-8"
	for old, want := range map[string]string{
		"": line + "\n",
		"# text\n#en_US.UTF-8 UTF-8  \n#fr_FR.UTF-8 UTF-8\n": "# text\nen_US.UTF-8 UTF-8\n#fr_FR.UTF-8 UTF-8\n",
		"# en_US.UTF-8 UTF-8\n":                              line + "\n",
		"fr_FR.UTF-8 UTF-8":                                  "fr_FR.UTF-8 UTF-8\n" + line + "\n",
	} {
		if got := withLocale(old, line); got != want {
			t.Errorf("%q: %q, want %q", old, got, want)
		}
	}
}

func TestMachineConf(t *testing.T) {
	t.Parallel()
	a, b := []string{"http://a/$repo"}, []string{"http://b/$repo"}
	const old = "# top\n[options]\nHoldPkg = pacman\n\n# the core\n#[core-testing]\n[core]\nInclude = /etc/pacman.d/mirrorlist\n"
	conf, mirrors := machineConf(old, []Repository{{Name: "core", Servers: a, SigLevel: "Required"}, {Name: "extra", Servers: a}})
	if want := "# top\n[options]\nHoldPkg = pacman\n\n[core]\nSigLevel = Required\nInclude = /etc/pacman.d/mirrorlist\n\n[extra]\nInclude = /etc/pacman.d/mirrorlist\n"; conf != want || mirrors != "Server = http://a/$repo\n" {
		t.Errorf("shared servers:\n%s\nwant\n%s\nmirrors %q", conf, want, mirrors)
	}
	conf, mirrors = machineConf(old, []Repository{{Name: "core", Servers: a}, {Name: "extra", Servers: b}})
	if want := "# top\n[options]\nHoldPkg = pacman\n\n[core]\nServer = http://a/$repo\n\n[extra]\nServer = http://b/$repo\n"; conf != want || mirrors != "" {
		t.Errorf("different servers:\n%s\nwant\n%s\nmirrors %q", conf, want, mirrors)
	}
	if conf, _ := machineConf("", []Repository{{Name: "core", Servers: a}}); !strings.HasPrefix(conf, "[options]\n") {
		t.Errorf("no options:\n%s", conf)
	}
}
