package nspawn

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// unitProperty is one setting of a transient unit.
type unitProperty struct {
	Name  string
	Value dbus.Variant
}

// execStart is one command of a unit.
type execStart struct {
	Path          string
	Args          []string
	IgnoreFailure bool
}

// exitCodes is a set of statuses and signals, as RestartForceExitStatus takes.
type exitCodes struct {
	Statuses []int32
	Signals  []int32
}

// deviceRule allows a device to a unit.
type deviceRule struct{ Node, Access string }

// properties are those of systemd-nspawn@.service, and what the configuration
// adds to them.
func (s *systemd) properties(m *Machine, config *Config) ([]unitProperty, error) {
	line, err := s.commandLine(m, config)
	if err != nil {
		return nil, err
	}
	console := filepath.Join(m.dir, "console")
	var set []unitProperty
	add := func(name string, value any) { set = append(set, unitProperty{name, dbus.MakeVariant(value)}) }
	add("Description", "Machine "+config.Name)
	add("ExecStart", []execStart{{s.h.nspawn.path, line.Args, false}})
	add("Environment", line.Env)
	add("Type", "notify")
	add("KillMode", "mixed")
	add("Delegate", true)
	add("Slice", machineSlice)
	add("CollectMode", "inactive-or-failed")
	add("AddRef", true) // else it takes its exit status along when it ends, see ref
	add("SuccessExitStatus", exitCodes{[]int32{exitReboot}, []int32{}})
	if config.Reboot == RebootAllow {
		add("RestartForceExitStatus", exitCodes{[]int32{exitReboot}, []int32{}})
		add("RestartUSec", uint64(0))
		add("StartLimitIntervalUSec", uint64(0))
	}
	add("TimeoutStopUSec", microseconds(orDuration(config.Stop.Poweroff, 20*time.Second)))
	add("TimeoutStartUSec", ^uint64(0)) // whoever waits has a context
	add("StandardOutputFileToAppend", console)
	add("StandardErrorFileToAppend", console)
	if s.h.options.Netns != "" {
		add("NetworkNamespacePath", s.h.options.Netns)
	}
	if config.SuppressSync {
		add("SystemCallFilter", withoutSync())
	}
	add("DevicePolicy", "closed")
	add("DeviceAllow", deviceRules(config.Devices))
	config.Limits.properties(add)
	return set, nil
}

// properties are the unit's bounds; Check has found that they can be had.
func (l Limits) properties(add func(string, any)) {
	if l.Memory > 0 {
		add("MemoryMax", l.Memory)
	}
	if l.CPUs > 0 {
		add("CPUQuotaPerSecUSec", l.cpuTime(1e6))
	}
	add("TasksMax", orUnlimited(l.Tasks))
}

// deviceRules are what nspawn itself needs, as in systemd-nspawn@.service, and
// the machine's devices.
func deviceRules(devices []string) []deviceRule {
	rules := []deviceRule{
		{"char-pts", "rw"}, {"/dev/net/tun", "rwm"}, {"/dev/fuse", "rwm"},
		{"/dev/loop-control", "rw"}, {"block-loop", "rw"}, {"block-blkext", "rw"},
	}
	for _, device := range devices {
		rules = append(rules, deviceRule{strings.TrimPrefix(device, "-"), "rwm"})
	}
	return rules
}

// commandLine is the configuration's, with what this launcher adds.
func (s *systemd) commandLine(m *Machine, config *Config) (CommandLine, error) {
	a := arguments{s.h.nspawn.path, "--quiet", "--register=yes", "--keep-unit"}
	if err := config.launchArguments(&a, m.dir, m.dir); err != nil {
		return CommandLine{}, err
	}
	return CommandLine{Env: append(config.nspawnEnv(), unifiedEnv, ownerVar+"="+s.h.options.StateDir), Args: a}, nil
}

// launchArguments adds what both launchers pass. Credentials given by value are
// written to the machine's state directory, which nspawn sees at seenAt.
func (c *Config) launchArguments(a *arguments, stateDir, seenAt string) error {
	if c.Console == "" {
		a.add("--console", string(ConsolePipe))
	}
	c.identity(a)
	c.network(a)
	c.mounts(a)
	c.security(a)
	if c.Limits.OpenFiles > 0 {
		a.add("--rlimit", fmt.Sprintf("RLIMIT_NOFILE=%d", c.Limits.OpenFiles))
	}
	for i, credential := range c.Credentials {
		path := credential.Path
		if path == "" {
			name := fmt.Sprintf("credential-%d", i)
			if err := os.WriteFile(filepath.Join(stateDir, name), []byte(credential.Value), 0o600); err != nil {
				return err
			}
			path = filepath.Join(seenAt, name)
		}
		a.add("--load-credential", credential.ID+":"+path)
	}
	c.payload(a)
	return nil
}

func microseconds(d time.Duration) uint64 { return uint64(d.Microseconds()) }

// orUnlimited makes systemd's infinity of 0.
func orUnlimited(n uint64) uint64 {
	if n == 0 {
		return ^uint64(0)
	}
	return n
}
