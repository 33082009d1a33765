package prolo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/snapshot"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/view"
)

// Run takes the machine through its stages, as far as they are not as they should
// be already.
func (l *Lab) Run(ctx context.Context) error {
	base, err := l.base(ctx)
	if err != nil {
		return err
	}
	result, err := l.runStages(ctx, base)
	if err != nil {
		return err
	}
	l.say("%s is as it should be: %d stages run, %d as they were", l.setup.Machine, len(result.Ran), len(result.Cached))
	if l.Keep {
		l.say("it goes on: curl http://%s/, dig @%s gw.%s, gw -keep -shell; gw -clean ends it", UplinkAddress, UplinkAddress, Domain)
	}
	return nil
}

func (l *Lab) runStages(ctx context.Context, base snapshot.Snapshot) (*stage.Result, error) {
	setup := l.setup
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
		return nil, err
	}
	return lab.Run(ctx, l.Steering())
}

func plan(setups ...stage.Setup) stage.Plan { return stage.Plan{Name: Zone, Setups: setups} }

func (f *Flags) stageDir() string { return filepath.Join(f.State, "stages") }

// checkStages refuses names in -from and -until that the setup does not have.
func (f *Flags) checkStages(setup stage.Setup) error {
	lab, err := stage.Open(plan(setup), stage.Options{StateDir: f.stageDir()})
	if err == nil {
		err = lab.Check(f.Steering())
	}
	if err != nil {
		var names []string
		for _, s := range setup.Stages {
			names = append(names, s.Name)
		}
		return &usageError{fmt.Errorf("%w; the stages are %s", err, strings.Join(names, ", "))}
	}
	return nil
}

func (l *Lab) machine(name string) *machine {
	config := machineConfig(name, filepath.Join(l.storeDir(), name))
	config.Network = l.wiring()
	return &machine{host: l.host, config: config, wired: l.wired}
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
	return strings.TrimPrefix(machine, "my")
}

func hint(machine, stageName string) (resume, shell string) {
	name := hostname(machine)
	if stageName == "" {
		return name, name + " -shell"
	}
	return name, fmt.Sprintf("%s -until %s -shell", name, stageName)
}

// OpenShell gives the user a shell in the machine.
func (l *Lab) OpenShell(ctx context.Context) error {
	found, err := l.host.Find(ctx, l.setup.Machine)
	if err != nil {
		return err
	}
	l.say("a shell in %s; leave it with exit or by pressing ^] three times", l.setup.Machine)
	err = found.Shell(ctx, nspawn.ShellOptions{})
	l.say("") // the shell's last line has no end when ^] left it
	var exit *nspawn.ExitError
	if errors.As(err, &exit) {
		return nil // of the shell's last command: no failure of ours
	}
	return err
}
