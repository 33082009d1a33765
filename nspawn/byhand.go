package nspawn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// CommandLine is Config.CommandLine for this host: where machines are started
// directly, nspawn is told to do without systemd and machined. It is pasted into
// a root shell. The error is that of Check, or says what only a Host can do.
func (h *Host) CommandLine(config Config) (CommandLine, error) {
	err := h.Check(config)
	if config.Network.MAC != nil && h.nspawn.version < macVersion {
		err = errors.Join(err, &Fault{Field: "Network.MAC",
			Problem: fmt.Sprintf("nspawn sets it by itself from version %d on, and this is %d", macVersion, h.nspawn.version)})
	}
	if err != nil {
		return CommandLine{}, fail("write the command line of", config.Name, err)
	}
	config.leaveOutMissing()
	line := config.CommandLine()
	if h.launcher == LauncherDirect {
		line.Args = slices.Insert(line.Args, 1, "--register=no", "--keep-unit")
	}
	return line, nil
}

// leaveOutMissing takes away what may be missing on this host and is.
func (c *Config) leaveOutMissing() {
	missing := func(path string) bool {
		_, err := os.Stat(path)
		return errors.Is(err, fs.ErrNotExist)
	}
	c.Binds = slices.DeleteFunc(slices.Clone(c.Binds), func(b Bind) bool { return b.Optional && missing(b.Source) })
	c.Devices = slices.DeleteFunc(slices.Clone(c.Devices), func(device string) bool {
		path, optional := strings.CutPrefix(device, "-")
		return optional && missing(path)
	})
}
