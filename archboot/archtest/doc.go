// Package archtest is to an Arch Linux mirror what net/http/httptest is to a web
// server: a real one on loopback, for tests and for trying things out with no Arch
// mirror in reach.
//
//	func TestInstall(t *testing.T) {
//		m := archtest.NewMirror(t, archtest.Options{AddOns: []string{"nginx"}})
//		// … pacstrap from m.Server(), trusting m.PublicKeyFile() …
//	}
//
// It knows nothing of the rest of this module, and any project that drives pacman
// may use it.
//
// # Two kinds of mirror
//
// [Synthetic] serves only packages that the caller describes ([Options].Packages,
// see package alpm): files, links, dependencies, conflicts, hooks, install scripts.
// It is made within milliseconds, without privileges or programs, and is enough to
// test signatures, databases, dependency resolution and misbehaving servers.
//
// [Bookworm], [Trixie] and [Sid] serve a whole distribution: base, openssh, vim,
// bind-tools and what they need, and add-ons such as nginx and bind. The binaries
// are those of the Debian suite; names, paths, users, units and configuration are
// Arch's. Real pacman and pacstrap install it with SigLevel = Required, the result
// boots under systemd-nspawn, and pacman works in it.
//
// A mirror of a suite is built when it is first asked for, which takes half a
// minute, root, and the packages of [DebianPackages], and is kept in
// [Options].CacheDir. Starting it again takes milliseconds, and no network. The
// build works in a directory of its own under a lock and renames the result into
// place; one that is interrupted or killed leaves nothing that is used, and the
// next one removes its remains. A mirror in the cache that has more add-ons than
// are asked for is as good as one that has just those. One that nobody has started for
// two weeks goes when the next is built. To get newer Debian packages, remove the
// mirror's directory from the cache.
//
// # What a mirror offers
//
// Its URLs are those of Arch's mirrors and of its archive, at whatever date:
//
//	/$repo/os/x86_64/$repo.db            and .files, with signatures
//	/repos/2018/05/01/$repo/os/x86_64/   the same
//	/iso/latest/                         bootstrap tarballs, signatures, sha256sums.txt
//	/iso/2026.11.01/                     the same
//
// [Mirror.Requests] is the log of what was asked. [Mirror.Inject] makes it
// misbehave: missing, slow, cut and altered files, foreign signatures, databases of
// yesterday. [Mirror.Listen] serves it in further network namespaces, so that a
// machine without a network finds it on its own loopback.
//
// # How the packages are made
//
// mmdebstrap makes a configured Debian tree. Each file goes to the package that
// dpkg's file list names, under Arch's name and path, several Debian packages
// becoming one where Arch has one; files that no Debian package owns go to the one
// that made them. Debian's own machinery, logs, secrets, documentation and state
// are left out, and Arch's units, accounts, alpm hooks and configuration added.
// No maintainer script of Debian's runs in a machine.
//
// # What it does not exercise
//
//   - Arch's own binaries, versions, package splits and install scripts, its PAM
//     stack and most of its accounts.
//   - The web of trust of Arch's keyring: there is one key, and it signs all.
//   - TLS, the mirror list service, and mirrors that redirect.
//   - Kernel, firmware and initramfs: linux, linux-firmware and mkinitcpio are stubs that
//     put files where Arch has them. There is no boot loader.
//
// What works against this mirror still wants one run against a real one: with an
// [Upstream], the same tests do that.
package archtest
