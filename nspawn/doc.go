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
// Each machine is a systemd-nspawn process of ours in a control group of its
// own (version 2, also on hosts that have both), with a private view of
// /run/systemd/nspawn, so that nothing of it stays behind even after a SIGKILL.
// Neither D-Bus nor machined nor systemd as PID 1 is needed on the host, and the
// program may itself run in a container or a network namespace of its own.
//
// Machines outlive the program that started them. Each is recorded in
// HostOptions.StateDir before anything of it exists; the next program finds it
// there with [Host.Find] and takes over its supervision, and sweeps what a
// machine left that was killed half-way.
//
// # Privileges
//
// Everything but Config needs root. A machine without a user namespace
// (Config.Users) is held in by its capabilities and namespaces only: do not run
// a system in it that you would not run on the host.
package nspawn
