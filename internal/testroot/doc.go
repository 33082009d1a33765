// Package testroot gives tests a bootable Debian root directory.
//
//	root := testroot.Debian(t, testroot.Trixie)  // shared, never write to it
//	root := testroot.Clone(t, testroot.Trixie)   // this test's own, thrown away
//
// A root is made once by mmdebstrap, from the mirror that the machine's own apt
// uses, and kept below [CacheDir]. Tests of several packages, each a process of
// its own, ask for it at the same time: the first to take the lock builds, the
// others wait for it. A build happens in a temporary directory and ends in a
// rename, so what stands under the final name is whole; what a killed build
// left is removed by the next one.
//
// The root holds systemd, D-Bus and iproute2, nothing else beyond mmdebstrap's
// "minbase", and is prepared to boot fast: no first boot, no update pass, no
// timers of apt. networkd is enabled, so that a machine whose host0 has a
// .network file gets its address. It has no machine ID, so every clone gets one
// of its own, and no host name, so that it takes the machine's.
//
// Without root privileges, without mmdebstrap or without a reachable mirror (and
// nothing cached), Debian and Clone skip the test and say why. Programs call
// [Build], which returns these as errors.
//
// Environment: RIG_CACHE moves the cache, RIG_DEBIAN_MIRROR overrides the mirror,
// http_proxy is honoured (apt's own proxy setting is used when it is unset).
package testroot
