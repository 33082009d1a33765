// Package nspawn describes, starts, enters, watches and stops machines: whole
// operating systems in systemd-nspawn containers.
//
// A [Config] is plain data. [Config.Validate] reports every fault of it at once
// and [Config.CommandLine] renders it to the command that a person would type.
// A [Host] starts machines from it and finds those that run; a [Machine] is
// used much as a [os/exec.Cmd] is:
//
//	host, err := nspawn.Open(ctx, nspawn.HostOptions{})
//	...
//	defer host.Close()
//	gw, err := host.Start(ctx, nspawn.Config{Name: "gw", Root: "/srv/gw"})
//	...
//	defer gw.Stop(ctx)
//	if err := gw.WaitReady(ctx); err != nil {
//		return err
//	}
//	out, err := gw.Command(ctx, "ip", "-br", "address").Output()
//
// # How machines run
//
// A [Launcher] runs systemd-nspawn, and machines behave the same under both. The
// direct one makes it a child of the program, in a control group of its own
// (version 2, also on hosts that have both) and with a private view of
// /run/systemd/nspawn, so that nothing of it stays behind even after a SIGKILL:
// neither D-Bus nor machined nor systemd as PID 1 is needed on the host, and the
// program may itself run in a container or a network namespace of its own. The
// systemd one makes it a transient unit, registered with machined, so that
// machinectl, systemctl -M and journalctl -M know the machine. Which is taken
// depends on the host, is logged, and can be chosen in [HostOptions].
//
// Machines outlive the program that started them. Each is recorded in
// HostOptions.StateDir before anything of it exists; the next program finds it
// there with [Host.Find] and takes over its supervision, and sweeps what a
// machine left that was killed half-way. Only while a program supervises it, or
// with the systemd launcher, does a machine come back from a reboot.
//
// # Inside a machine
//
// [Machine.Command] joins the machine's namespaces, in a millisecond and without
// the help of anything in it. [Machine.CommandUnit] has the machine's own service
// manager run the command, confined as everything there. [Machine.Shell] is for
// people. [Machine.WaitReady], [Unit.WaitActive], [Machine.WaitPort] and
// [Machine.WaitFor] are the layers of readiness. [Machine.Unit] and
// [Machine.Journal] speak with the machine's manager and read its journal, and
// [Machine.WriteFile], [Machine.CopyIn] and their like work on its files, on its
// own view of them while it runs.
//
// # Privileges
//
// Everything but Config and its methods needs root, Linux 5.11 and a systemd-nspawn of
// version 250, or newer ones; [Preflight] tells what else a host lacks. A machine without a user
// namespace (Config.Users) is held in by its capabilities and namespaces only: do
// not run a system in it that you would not run on the host.
package nspawn
