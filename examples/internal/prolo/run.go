package prolo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/view"
)

// Run takes a machine through its stages, as far as they are not as they should
// be already.
func (l *Lab) Run(ctx context.Context, setup stage.Setup) error {
	base, err := l.base(ctx)
	if err != nil {
		return err
	}
	setup.Base = base.Key
	events := view.New(l.out, view.Options{Verbose: l.Verbose})
	defer events.Close()
	lab, err := stage.Open(plan(setup), stage.Options{
		StateDir: l.stageDir(),
		Targets: map[string]stage.Target{setup.Machine: {
			Machine: l.machine(setup.Machine),
			Volume:  &volume{store: l.store, name: setup.Machine, hostname: hostname(setup.Machine), base: base},
		}},
		Hint:   hint,
		Events: events.Event,
		Logger: l.log,
	})
	if err != nil {
		return err
	}
	_, err = lab.Run(ctx, l.Steering())
	return err
}

func plan(setups ...stage.Setup) stage.Plan { return stage.Plan{Name: Zone, Setups: setups} }

func (l *Lab) stageDir() string { return filepath.Join(l.State, "stages") }

func (l *Lab) machine(name string) *machine {
	return &machine{host: l.host, config: machineConfig(name, filepath.Join(l.store.Dir(), name))}
}

// machineConfig describes a machine on the bridge. Waiting for the network at
// boot is masked: no address comes before a stage has configured one.
func machineConfig(name, root string) nspawn.Config {
	return nspawn.Config{
		Name:              name,
		Root:              root,
		Hostname:          hostname(name),
		Network:           nspawn.Network{Bridge: Bridge},
		KernelCommandLine: []string{"systemd.mask=systemd-networkd-wait-online.service"},
		SuppressSync:      true,
	}
}

// hostname is what the machine calls itself: the host knows gw as mygw.
func hostname(machine string) string {
	if len(machine) > 2 && machine[:2] == "my" {
		return machine[2:]
	}
	return machine
}

func hint(machine, stageName string) (resume, shell string) {
	name := hostname(machine)
	return name, fmt.Sprintf("%s -until %s -shell", name, stageName)
}

// Shell gives the user a shell in a machine.
func (l *Lab) OpenShell(ctx context.Context, machine string) error {
	found, err := l.host.Find(ctx, machine)
	if err != nil {
		return err
	}
	l.say("a shell in %s; leave it with exit or by pressing ^] three times", machine)
	err = found.Shell(ctx, nspawn.ShellOptions{})
	var exit *nspawn.ExitError
	if errors.As(err, &exit) {
		return nil // of the shell's last command: no failure of ours
	}
	return err
}
