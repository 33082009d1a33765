// Package testhost runs tests in a host of their own: a Debian booted with
// systemd as its PID 1, with machined, networkd, udev, D-Bus, iptables and a btrfs
// on which /var/lib/machines lies. Machines start inside it by all the ways that
// systemd offers, and nothing they do reaches the machine around it, which may
// have none of this: a container, a CI sandbox.
//
// # Usage
//
// The command below cmd/testhost is made for go test:
//
//	go build -o bin/testhost ./internal/testhost/cmd/testhost
//	bin/testhost build                                               # once, a minute or two
//	go test -exec "$PWD/bin/testhost exec" ./nspawn
//	bin/testhost with go test -exec "$PWD/bin/testhost exec" ./...   # one boot for all
//	go test -run '^$' -bench . -exec "$PWD/bin/testhost exec" ./nspawn
//	bin/testhost -suite bookworm shell                               # systemd 252
//	bin/testhost -vm shell                                           # a kernel of its own
//	go run ./internal/testhost/cmd/testhost shell                    # look around
//
// It has to run as root: an ordinary user puts sudo before each bin/testhost,
// and start and stop around go test in place of with. Go's own run command
// hides the exit status, so build it for -exec.
//
// A test that needs a host begins with [Require]. It sees its module, its
// working directory, testroot's cache and the directory of the test binary at
// their own paths, so testdata, golden files and coverage profiles work as
// ever; it does not see the Go installation, and has no network but loopback.
// Exit status and signals pass through unchanged, -bench and -cover work. What
// a test leaves running dies with the test binary. A binary that links the C
// library (-race, cgo) needs a host whose library is not older than the one it
// was linked with.
//
// # How it works
//
// [Acquire] boots the host by systemd-nspawn, with --register=no --keep-unit, from
// a copy of a btrfs image that was made once ([Build]). The kernel's share of
// this is a cgroup, a mount namespace with a pure cgroup v2 view in which the
// image is mounted by a loop device, and a network namespace with nothing but
// loopback. [Host.Run] joins the host's namespaces with a locked thread and runs
// systemd-run --scope there, so that the command has a cgroup that it may divide.
// It keeps all capabilities, and no seccomp filter is set.
//
// Several test binaries run at once under go test: the first boots, holding a
// lock, and each holds a second lock, shared, for as long as it uses the host.
// Whoever leaves and gets that lock exclusively was the last and ends the host.
// There is no daemon. If the last user is killed the host stays, and the next user
// takes it over; a killed host is swept at the next boot, for all that it has is
// in one cgroup and one directory.
//
// Hosts are named after the module's directory and the suite, so that checkouts
// and suites do not share one.
//
// # Virtual hosts
//
// With Config.VM the host is a virtual machine: the same Debian on the same btrfs, with
// Debian's own kernel, cgroup v2 and all its controllers, a network card, and
// NetworkManager, which is not started. QEMU boots the kernel directly, keeps what the
// host writes in an unnamed file, and gives it this machine's files by 9p, so that
// directories are visible at their paths as above; the network card leads nowhere.
// QEMU is in the host's cgroup and ends as a container would.
//
// Commands go by virtual serial ports, one each, to an agent that is the very program
// that called [Acquire], started there with [AgentCommand]: eight at a time. They work
// while a test takes the network apart. Without /dev/kvm, or where the processor does
// not help, QEMU emulates, some ten times slower, and says so.
//
// # Limits
//
// A container's kernel is the machine's, and so are loop devices: detach those that a
// test attaches. Where the machine binds cgroup controllers to version 1, none is left
// for a container, and resource limits have no effect in it. A virtual host is not
// made for other architectures than amd64.
package testhost
