package archtest_test

import (
	"strings"
	"testing"

	"github.com/prologin/rig/archboot/archtest"
)

// TestAddOns builds a mirror with all add-ons for each suite, which takes minutes.
func TestAddOns(t *testing.T) {
	t.Parallel()
	if !everySuite() {
		t.Skip("only with RIG_SUITES=all")
	}
	for _, suite := range suites() {
		t.Run(string(suite), func(t *testing.T) { testAddOns(t, suite) })
	}
}

// testAddOns installs every add-on in one machine and asks of each that it does
// what it is for, as far as a container lets it.
func testAddOns(t *testing.T, suite archtest.Suite) {
	names := archtest.AddOns(suite)
	m := debianMirror(t, archtest.Options{Suite: suite, AddOns: names})
	needMachines(t)
	root := install(t, m)
	machine := boot(t, root)
	useMirror(t, m, machine, root)
	machine.mustSh(t, "pacman -Sy --noconfirm --noprogressbar "+strings.Join(names, " "))
	checks := map[string]string{
		"nginx": "systemctl start nginx && curl -sS http://127.0.0.1/",
		"bind":  "systemctl start named && dig +short @127.0.0.1 localhost A",
		"postgresql": `runuser -u postgres -- initdb --locale=C.UTF-8 -D /var/lib/postgres/data >/dev/null &&
			systemctl start postgresql && psql -U postgres -c '\l'`,
		"dhcp": `ip link add lan0 type bridge && ip address add 10.9.0.1/24 dev lan0 && ip link set lan0 up &&
			echo 'subnet 10.9.0.0 netmask 255.255.255.0 { range 10.9.0.10 10.9.0.20; }' >>/etc/dhcpd.conf &&
			systemctl start dhcpd4 && systemctl is-active dhcpd4`,
		"tftp-hpa": `systemctl start tftpd.socket && echo hello >/srv/tftp/file &&
			cd /tmp && tftp 127.0.0.1 -c get file && grep hello file`,
		// It goes into the background before it listens: asked too early, it refuses or resets.
		"nbd":             "printf 'allowlist = true\\n[disk]\\nexportname = /tmp/disk\\n' >>/etc/nbd-server/config && truncate -s 1M /tmp/disk && systemctl start nbd && timeout 20 bash -c 'until nbd-client -l 127.0.0.1 | grep disk; do sleep 0.1; done'",
		"ipset":           "ipset create test hash:ip && ipset add test 10.0.0.1 && ipset list test && systemctl start ipset",
		"iptables":        "systemctl start iptables && iptables -A INPUT -j ACCEPT && iptables -S | grep -- '-A INPUT -j ACCEPT'",
		"sqlite":          "sqlite3 :memory: 'select 42' | grep 42",
		"conntrack-tools": "conntrack --version",
		"nfs-utils": `echo '/srv 127.0.0.1(ro)' >>/etc/exports && systemctl start rpcbind && rpcinfo -p &&
			systemctl cat nfs-server >/dev/null && exportfs -s`,
		"arch-install-scripts": "pacstrap -h >/dev/null; genfstab -h >/dev/null",
		"python":               "python -m venv /tmp/venv && /tmp/venv/bin/python -c 'import sqlite3, ssl; print(sqlite3.sqlite_version)' && /tmp/venv/bin/pip --version",
		"python-psycopg2":      "python -c 'import psycopg2; print(psycopg2.__version__)'",
		"ipxe":                 "test -s /usr/share/ipxe/undionly.kpxe",
		"nfs-ganesha":          "rpcinfo -p >/dev/null; ganesha.nfsd -v",
		"libnfs":               "command -v nfs-ls nfs-cat",
		"libnbd":               "nbdfuse --version && fusermount3 --version",
		"fuse2fs":              "command -v fuse2fs",
		"e2fsprogs":            "truncate -s 4M /tmp/image && mke2fs -q -t ext4 /tmp/image && e2fsck -fn /tmp/image",
		"pamtester":            "pamtester login root acct_mgmt",
		"linux-cloud":          "test -s /boot/vmlinuz-linux && zstd -dc /boot/initramfs-linux-fallback.img | bsdtar -tf - | grep virtio_net",
		"rsync":                "mkdir /tmp/a && touch /tmp/a/file && rsync -a /tmp/a/ /tmp/b/ && test -f /tmp/b/file",
	}
	for _, name := range names {
		script, ok := checks[name]
		if !ok {
			t.Errorf("%s: the test has no check of it", name)
			continue
		}
		if out, err := machine.sh(t, script); err != nil {
			t.Errorf("%s: %v\n%s", name, err, machine.mustSh(t, "journalctl --no-pager --lines 20 --priority notice"))
		} else {
			t.Logf("%s: %s", name, lastLine(out))
		}
	}
	upkeep(t, machine)
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }
