// Package rigtest boots machines in tests: whole systems, each a clone of one base, on
// a private network of the test's own, which has no way out of the host.
//
//	func TestServer(t *testing.T) {
//		lab := rigtest.New(t)
//		server, client := lab.Machine("server"), lab.Machine("client")
//		server.Run("systemctl", "start", "sshd.service")
//		banner := client.Run("bash", "-c", "read -r line </dev/tcp/"+server.Address.String()+"/22; echo $line")
//		…
//	}
//
// A [Lab] is made for a test and a [Machine] by it, which is an nspawn.Machine with an
// address; the machines reach each other by their addresses, and the test them by commands.
// Everything goes when the test ends. When it failed, the machines' journals are in
// its log. Labs of several tests may be there at once, in one process or in several,
// and do not see each other. What a killed test left is removed by the next.
//
// The base is an Arch Linux of Debian's binaries, see archboot/archtest: the first test
// on a host takes a minute or two to make it, all others find it in the cache, which is
// $RIG_CACHE or /var/cache/rig. A [Config] asks for more packages, or names a directory with
// a root of one's own.
//
// Root is needed, as are systemd-nspawn, a bridge and a few programs. Where something is
// missing the test is skipped, with the reason.
package rigtest
