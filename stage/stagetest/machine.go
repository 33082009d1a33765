package stagetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/prologin/rig/stage"
)

// Machine is a [stage.Machine] that runs small programs of its own on the tree of a
// [Volume]. It is a [stage.Freezer] and a [stage.Killer]. It does not survive the
// program. It may be used concurrently.
type Machine struct {
	Faults

	volume   *Volume
	programs map[string]Program

	mu       sync.Mutex
	up       bool
	frozen   bool
	active   map[string]bool
	commands []string
	boots    int
	binds    []stage.Bind // from the next start on
	bound    []stage.Bind
}

var (
	_ stage.Machine = (*Machine)(nil)
	_ stage.Freezer = (*Machine)(nil)
	_ stage.Killer  = (*Machine)(nil)
	_ stage.Binder  = (*Machine)(nil)
)

// ErrNotRunning is the error of a command in a machine that is off.
var ErrNotRunning = errors.New("machine is not running")

// NewMachine returns a machine, which is off.
func NewMachine(v *Volume) *Machine {
	return &Machine{volume: v, programs: maps.Clone(builtin())}
}

// Handle adds a program, or replaces one.
func (m *Machine) Handle(name string, p Program) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.programs[name] = p
}

// Commands returns the commands that were run, each as one line, without those that
// only flush the disk.
func (m *Machine) Commands() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.commands...)
}

// Boots returns how often the machine was started.
func (m *Machine) Boots() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boots
}

// SetBinds says what is bound from the next start on. The machine's programs do not see
// it; Bound tells what it is.
func (m *Machine) SetBinds(binds []stage.Bind) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.binds = slices.Clone(binds)
}

// Bound returns what the machine was last started with.
func (m *Machine) Bound() []stage.Bind {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bound
}

// Start starts the machine, and with it the units that are enabled in its tree.
func (m *Machine) Start(ctx context.Context) error {
	if err := m.hit("Start"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.up {
		return errors.New("machine is running already")
	}
	m.up, m.frozen, m.active = true, false, map[string]bool{}
	m.boots++
	m.bound = m.binds
	entries, _ := os.ReadDir(m.volume.Tree() + unitDir)
	for _, e := range entries {
		m.active[e.Name()] = true
	}
	return nil
}

// Stop powers the machine off.
func (m *Machine) Stop(ctx context.Context) error {
	if err := m.hit("Stop"); err != nil {
		return err
	}
	m.Die()
	return nil
}

// Kill ends the machine at once.
func (m *Machine) Kill(ctx context.Context) error {
	if err := m.hit("Kill"); err != nil {
		return err
	}
	m.Die()
	return nil
}

// Die makes the machine end as if it had crashed.
func (m *Machine) Die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.up, m.frozen, m.active = false, false, nil
}

// Running reports whether the machine is on.
func (m *Machine) Running(ctx context.Context) (bool, error) {
	if err := m.hit("Running"); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.up, nil
}

// Freeze holds the machine's commands still: an Exec meanwhile is an error.
func (m *Machine) Freeze(ctx context.Context) error {
	if err := m.hit("Freeze"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.up {
		return ErrNotRunning
	}
	m.frozen = true
	return nil
}

// Thaw ends Freeze.
func (m *Machine) Thaw(ctx context.Context) error {
	if err := m.hit("Thaw"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.frozen = false
	return nil
}

// Exec runs one of the machine's programs.
func (m *Machine) Exec(ctx context.Context, c stage.Command) error {
	if err := m.hit("Exec"); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	name, args := c.Args[0], c.Args
	if (name == "sh" || name == "bash") && len(args) >= 4 { // sh -c SCRIPT NAME ARGS…: known by its name
		script := args[2]
		name, args = args[3], args[3:]
		if name == "script" {
			args = append([]string{"script", script}, args[1:]...)
		}
	}
	m.mu.Lock()
	program, up, frozen := m.programs[name], m.up, m.frozen
	if name != "sync" {
		m.commands = append(m.commands, strings.Join(args, " "))
	}
	m.mu.Unlock()
	switch {
	case !up:
		return ErrNotRunning
	case frozen:
		return errors.New("machine is frozen")
	case program == nil:
		return fmt.Errorf("%s: %w", name, ExitError(127))
	}
	root, err := os.OpenRoot(m.volume.Tree())
	if err != nil {
		return err
	}
	defer root.Close()
	return program(ctx, &Proc{Command: c, Args: args, Root: root, machine: m})
}
