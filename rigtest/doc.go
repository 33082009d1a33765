// Package rigtest boots machines in tests: whole systems, each a clone of one base, on
// a private network of the test's own.
//
//	func TestServer(t *testing.T) {
//		lab := rigtest.New(t)
//		server, client := lab.Machine("server"), lab.Machine("client")
//		server.Run("systemctl", "start", "sshd.service")
//		banner := client.Run("bash", "-c", "read -r line </dev/tcp/"+server.Address.String()+"/22; echo $line")
//		…
//	}
//
// Everything goes when the test ends. When it failed, the machines' journals are in
// its log. Labs of several tests may be there at once, in one process or in several,
// and do not see each other. What a killed test left is removed by the next.
//
// The base is an Arch Linux of Debian's binaries, see archboot/archtest: the first test
// on a host takes a minute or two to make it, all others find it in the cache. A
// directory with a root of one's own can be given instead.
//
// Root is needed, as are systemd-nspawn, a bridge and a few programs. Where something is
// missing the test is skipped, with the reason.
package rigtest
