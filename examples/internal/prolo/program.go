package prolo

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/internal/lab/labcli"
	"github.com/prologin/rig/stage/cli"
)

// Program returns the program of that name, which sets up one machine with those that it
// needs, or all for "". Text is what -h says of it.
func Program(name, machine, text string) *labcli.Program {
	p := new(Payload)
	return &labcli.Program{
		Name: name, Machine: machine, Text: text,
		Config:   func() lab.Config { return config(*p) },
		Machines: func() []labcli.Machine { return machines(*p) },
		Flags:    func(fs *flag.FlagSet) { p.register(fs, machine) },
		Check:    p.complete,
		Before:   p.unpack,
		Secret:   secret,
	}
}

// Host returns the program that makes a host ready for the lab.
func Host(text string) *labcli.Tool { return labcli.Host(text, whole()) }

// Clean returns the program that removes the lab.
func Clean(text string) *labcli.Tool { return labcli.Clean(text, whole()) }

// whole is the lab with all machines but the light ones.
func whole() lab.Config {
	c := config(Payload{})
	for _, m := range machines(Payload{}) {
		c.Machines = append(c.Machines, m.Machine)
	}
	return c
}

// register makes flags of what the programs may choose of the payload.
func (p *Payload) register(fs *flag.FlagSet, machine string) {
	fs.StringVar(&p.Dir, "sadm", "", "install the checkout of prologin-sadm in `dir`; default: a stand-in for it")
	fs.StringVar(&p.Generation, "generation", "2019", "expect the payload's paths of that `year`, 2018 or 2019")
	fs.BoolVar(&p.Bind, "bind", false, "show the checkout in the machines rather than copy it")
	switch machine {
	case MachinePas:
		fs.BoolVar(&p.VM, "vm", false, "boot a virtual machine over the network, too; pictures of its screen are kept in the state directory's vm")
	case "":
		fs.IntVar(&p.Contestants, "contestants", 0, "add this `number` of light machines, which get an address and a name and report in")
	}
}

// complete checks the flags and fills in what follows from the lab's.
func (p *Payload) complete(o *lab.Options) error {
	if n := p.Contestants; n < 0 || n > MaxContestants {
		return fmt.Errorf("-contestants %d: there is room for %d", n, MaxContestants)
	}
	err := errors.Join(cli.OneOf("generation", p.Generation, "2018", "2019"), p.Validate())
	if p.standIn = p.Dir == ""; p.standIn {
		p.Dir = filepath.Join(o.State, standInDir)
	}
	mirror := "http://" + HostAddress + ":" + lab.MirrorPort
	if strings.Contains(o.Mirror, "://") {
		mirror = strings.TrimRight(o.Mirror, "/")
	}
	p.Internet = mirror + "/core/os/x86_64/core.db"
	p.Pictures = filepath.Join(o.State, picturesDir)
	return err
}
