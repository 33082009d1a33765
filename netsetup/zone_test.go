package netsetup

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prologin/rig/internal/testhost"
)

func TestZoneFile(t *testing.T) {
	t.Parallel()
	z := Zone{Name: "prolo", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}, Masquerade: true}
	files := z.files()
	want := []file{{"/run/systemd/network/10-rig-vz-prolo.network", `# Made by rig for the zone prolo; removed with it.
[Match]
Name=vz-prolo
Type=bridge

[Network]
Address=10.0.0.1/24
IPMasquerade=ipv4
LinkLocalAddressing=no
DHCPServer=no
IPv6AcceptRA=no
LLDP=yes
EmitLLDP=customer-bridge
ConfigureWithoutCarrier=yes
`}}
	if d := cmp.Diff(want, files); d != "" {
		t.Error(d)
	}
	m := new(match)
	if err := m.read(strings.NewReader(files[0].Content)); err != nil || m.matches("vz-prolo", "bridge") != yes || m.matches("vz-prolo2", "bridge") != no {
		t.Errorf("the file does not match its bridge, or matches another: %v (%v)", m, err)
	}
	z.OnlyZones = true
	m = new(match)
	if err := m.read(strings.NewReader(z.files()[1].Content)); err != nil || m.matches("vz-prolo", "bridge") != no || m.matches("eth0", "ether") != yes {
		t.Errorf("the file for the others matches the bridge, or not the others: %v (%v)", m, err)
	}
}

// TestZoneInGuide holds the files that the guide has one write by hand to ours.
func TestZoneInGuide(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../doc/network.md")
	if err != nil {
		t.Fatal(err)
	}
	z := Zone{Name: "prolo", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}, Masquerade: true, OnlyZones: true}
	for _, f := range z.files() {
		_, settings, _ := strings.Cut(f.Content, "\n") // after the comment
		if !strings.Contains(strings.ReplaceAll(string(page), "\n    ", "\n"), "\n"+settings) {
			t.Errorf("doc/network.md does not have\n%s", settings)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		section string
		want    verdict // of vz-prolo, a bridge
	}{
		{"", no},
		{"[Match]\n", no},
		{"[Network]\nName=*\n", no},
		{"[Match]\nName=*\n", yes},
		{"[Match]\nName = vz-*  \n", yes},
		{"[Match]\nName=eth* vz-prolo\n", yes},
		{"[Match]\nName=eth*\nName=vz-*\n", yes},
		{"[Match]\nName=vz-*\nName=\nName=eth*\n", no},
		{"[Match]\nName=*\nName=\n", no},
		{"[Match]\nName=!eth*\n", yes},
		{"[Match]\nName=!vz-* eth*\n", no},
		{"[Match]\nName=!eth* lo\n", yes},
		{"[Match]\nName=*\nName=!vz-*\n", no},
		{"[Match]\nName=!vz-*\nName=*\n", no},
		{"[Match]\nName=v?-prol[a-z]\n", yes},
		{"[Match]\nName=vz-prol[!a-m]\n", yes},
		{"[Match]\nName=vz-prol[!o]\n", no},
		{"[Match]\nName=vz-prolo\\\nx\n", yes}, // a continued line has a space in it
		{"[Match]\nName=eth* \\\n# not this\nvz-*\n", yes},
		{"[Match]\n#Name=*\n;Name=*\n", no},
		{"[Match]\nType=bridge\n", yes},
		{"[Match]\nType=!bridge\n", no},
		{"[Match]\nType=ether\n", no},
		{"[Match]\nName=*\nType=!ether\n", yes},
		{"[Match]\nName=*\nKind=bridge\n", yes},
		{"[Match]\nKind=veth\n", no},
		{"[Match]\nName=*\nMACAddress=02:00:00:00:00:01\n", unknown},
		{"[Match]\nName=eth*\nMACAddress=02:00:00:00:00:01\n", no},
		{"[Match]\nVirtualization=!vm\n", unknown},
		{"[Match]\nSSID=home\n", no},
		{"[Match]\nPath=pci-*\n", no},
		{"[Match]\nName=eth*\n\n[Network]\nDHCP=yes\n\n[Match]\nName=vz-*\n", yes},
		{"[Match]\nName=\"vz-prolo\"\n", yes},
	} {
		m := new(match)
		if err := m.read(strings.NewReader(test.section)); err != nil {
			t.Errorf("%q: %v", test.section, err)
		}
		if got := m.matches("vz-prolo", "bridge"); got != test.want {
			t.Errorf("%q: got %d, want %d", test.section, got, test.want)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("[Match]\nName=!vz-* eth*\nType=bridge\n\\\n#\nName=")
	f.Fuzz(func(t *testing.T, text string) {
		m := new(match)
		if m.read(strings.NewReader(text)) != nil {
			t.Skip()
		}
		m.matches("vz-prolo", "bridge")
	})
}

func TestShadow(t *testing.T) {
	t.Parallel()
	const ours = "run/systemd/network/10-rig-vz-prolo.network"
	all := "[Match]\nName=*\n[Network]\nDHCP=yes\n"
	for name, test := range map[string]struct {
		files map[string]string
		want  string // the file in the way
	}{
		"nothing":       {nil, ""},
		"systemd's own": {map[string]string{"usr/lib/systemd/network/80-container-vz.network": "[Match]\nName=vz-*\nType=bridge\n"}, ""},
		"later":         {map[string]string{"etc/systemd/network/20-wired.network": all}, ""},
		"earlier":       {map[string]string{"etc/systemd/network/05-all.network": all}, "/etc/systemd/network/05-all.network"},
		"in usr":        {map[string]string{"usr/lib/systemd/network/05-all.network": all}, "/usr/lib/systemd/network/05-all.network"},
		"in local":      {map[string]string{"usr/local/lib/systemd/network/05-all.network": all}, "/usr/local/lib/systemd/network/05-all.network"},
		"masked": {map[string]string{"usr/lib/systemd/network/05-all.network": all,
			"etc/systemd/network/05-all.network": ""}, ""},
		"replaced": {map[string]string{"usr/lib/systemd/network/05-all.network": all,
			"run/systemd/network/05-all.network": "[Match]\nName=eth*\n"}, ""},
		"replaced for the worse": {map[string]string{"usr/lib/systemd/network/05-all.network": "[Match]\nName=eth*\n",
			"run/systemd/network/05-all.network": all}, "/run/systemd/network/05-all.network"},
		"of our name": {map[string]string{"etc/systemd/network/10-rig-vz-prolo.network": "[Match]\nName=eth*\n"}, "/etc/systemd/network/10-rig-vz-prolo.network"},
		"drop-in widens": {map[string]string{"etc/systemd/network/05-eth.network": "[Match]\nName=eth*\n",
			"usr/lib/systemd/network/05-eth.network.d/more.conf": "[Match]\nName=vz-*\n"}, "/etc/systemd/network/05-eth.network"},
		"drop-in narrows": {map[string]string{"etc/systemd/network/05-all.network": all,
			"run/systemd/network/05-all.network.d/less.conf": "[Match]\nName=!vz-*\n"}, ""},
		"drop-in masked": {map[string]string{"etc/systemd/network/05-eth.network": "[Match]\nName=eth*\n",
			"usr/lib/systemd/network/05-eth.network.d/more.conf": "[Match]\nName=vz-*\n",
			"etc/systemd/network/05-eth.network.d/more.conf":     ""}, ""},
		"not a network": {map[string]string{"etc/systemd/network/05-all.link": all}, ""},
		"first of two": {map[string]string{"etc/systemd/network/06-b.network": all, "usr/lib/systemd/network/05-a.network": all},
			"/usr/lib/systemd/network/05-a.network"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := fstest.MapFS{ours: &fstest.MapFile{Data: []byte("[Match]\nName=vz-prolo\n")}}
			for path, content := range test.files {
				root[path] = &fstest.MapFile{Data: []byte(content)}
			}
			s, err := shadow(root, "vz-prolo", ours)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if s != nil {
				got = s.File
			}
			if got != test.want {
				t.Errorf("in the way is %q, want %q", got, test.want)
			}
		})
	}
}

// TestZoneWithoutNetworkd: it is refused before anything is touched, and what was made while
// there was a networkd can be removed.
func TestZoneWithoutNetworkd(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
	l := newLab(t)
	h := l.host.open(t, l.state)
	z := Zone{Name: "rignone", Prefixes: l.network.Prefixes, Masquerade: true}
	if _, err := h.PlanZone(t.Context(), z); !errors.Is(err, ErrNotSupported) {
		t.Errorf("PlanZone: %v, want ErrNotSupported", err)
	}
	if err := h.ApplyZone(t.Context(), z); !errors.Is(err, ErrNotSupported) || strings.Contains(err.Error(), "undoing") {
		t.Errorf("ApplyZone: %v, want ErrNotSupported and nothing to undo", err)
	}
	if path := z.files()[0].Path; exists(path) {
		t.Errorf("%s is left", path)
	}
	checkEmpty(t, l.state)
	err := h.change(t.Context(), "test", z.Bridge(), func() error {
		j, err := h.journal(z.Bridge(), true)
		return errors.Join(err, j.adding(networkd{}), j.adding(networkd{Written: true}))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(t.Context(), z.Bridge()); err != nil {
		t.Errorf("Remove: %v", err)
	}
	checkEmpty(t, l.state)
}

// TestZone has a real networkd set up a zone.
func TestZone(t *testing.T) {
	testhost.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sh := func(script string) string {
		t.Helper()
		out, err := exec.CommandContext(ctx, "sh", "-ec", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		return string(out)
	}
	sh("systemctl start systemd-networkd")
	h, err := Open(Options{StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	forwarding := sh("cat /proc/sys/net/ipv4/ip_forward")
	z := Zone{Name: "rigtest", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.99.0.1/24")}, Masquerade: true}

	const catchAll = "/etc/systemd/network/05-all.network"
	if err := os.WriteFile(catchAll, []byte("[Match]\nName=*\n\n[Network]\nDHCP=no\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(catchAll)
	var shadow *ShadowError
	if err := h.ApplyZone(ctx, z); !errors.As(err, &shadow) || shadow.File != catchAll || !shadow.Certain {
		t.Errorf("with a catch-all file: %v, want a ShadowError with its name", err)
	}
	if err := os.Remove(catchAll); err != nil {
		t.Fatal(err)
	}

	if err := h.ApplyZone(ctx, z); err != nil {
		t.Fatal(err)
	}
	// What nspawn does for the first machine of the zone.
	sh("ip link add vz-rigtest type bridge")
	defer exec.Command("ip", "link", "delete", "vz-rigtest").Run()
	if err := h.WaitZone(ctx, z); err != nil {
		t.Fatalf("%v\n%s", err, sh("networkctl status vz-rigtest || true; journalctl -n 30 -u systemd-networkd"))
	}
	if s := sh("ip -4 address show vz-rigtest; networkctl status vz-rigtest"); !strings.Contains(s, "10.99.0.1/24") || !strings.Contains(s, "10-rig-vz-rigtest.network") {
		t.Errorf("networkd has not set up the zone's bridge by our file:\n%s", s)
	}
	if s := sh("cat /proc/sys/net/ipv4/ip_forward; nft list ruleset"); !strings.HasPrefix(s, "1\n") || !strings.Contains(s, "10.99.0.0/24") {
		t.Errorf("no forwarding or no NAT:\n%s", s)
	}
	changes, err := h.PlanZone(ctx, z)
	if err != nil || len(changes) != 0 {
		t.Errorf("a second ApplyZone would change %v (%v)", changes, err)
	}
	// With a bridge left, networkd would go on by systemd's own file for zones,
	// which masquerades as well.
	sh("ip link delete vz-rigtest")
	if err := h.Remove(ctx, z.Bridge()); err != nil {
		t.Fatal(err)
	}
	// A file in /etc is found also when a boot has taken the journal.
	z.Persistent, z.OnlyZones, z.Masquerade = true, true, false
	if err := h.ApplyZone(ctx, z); err != nil {
		t.Fatal(err)
	}
	h.release(z.Bridge())
	if err := os.Remove(h.journalPath(z.Bridge())); err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(ctx, z.Bridge()); err != nil {
		t.Fatal(err)
	}
	if s := sh("ls /run/systemd/network /etc/systemd/network || true"); strings.Contains(s, "rig") {
		t.Errorf("files are left:\n%s", s)
	}
	if after := sh("cat /proc/sys/net/ipv4/ip_forward"); after != forwarding {
		t.Errorf("ip_forward is %q, was %q", after, forwarding)
	}
}
