package lab

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// knownFile lists the machines that the lab ever had, by which a later program with
// fewer of them still finds what is there.
func (o *Options) knownFile() string { return filepath.Join(o.State, "machines.list") }

// known returns the names of the machines that the lab ever had.
func (o *Options) known() ([]string, error) {
	data, err := os.ReadFile(o.knownFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(data)), err
}

// remember records the machines before anything of them is made.
func (l *Lab) remember(context.Context) error {
	names, err := l.known()
	if err != nil {
		return err
	}
	all := slices.Clone(names)
	for _, m := range l.Machines {
		if !slices.Contains(all, m.Name) {
			all = append(all, m.Name)
		}
	}
	if len(all) == len(names) {
		return nil
	}
	temporary := l.knownFile() + ".new"
	if err := os.WriteFile(temporary, []byte(strings.Join(all, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, l.knownFile())
}

// recall adds the machines that the lab once had to those that it has.
func (l *Lab) recall(context.Context) error {
	names, err := l.known()
	for _, name := range names {
		if l.Config.machine(name) == nil {
			l.Machines = append(l.Machines, Machine{Name: name})
		}
	}
	return err
}
