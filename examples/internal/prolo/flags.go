package prolo

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage/cli"
)

func (p *Program) register(fs *flag.FlagSet) {
	fs.BoolVar(&p.clean, "clean", false, "remove everything that the lab made on this host, and do nothing else")
	if len(p.others()) > 0 {
		fs.BoolVar(&p.needs, "needs", false, "set up first what it needs: "+strings.Join(p.others(), ", "))
	}
	fs.StringVar(&p.payload.Dir, "sadm", "", "install the checkout of prologin-sadm in `dir`; default: a stand-in for it")
	fs.StringVar(&p.payload.Generation, "generation", "2019", "expect the payload's paths of that `year`, 2018 or 2019")
	fs.BoolVar(&p.payload.Bind, "bind", false, "show the checkout in the machines rather than copy it")
	if p.Machine == MachinePas {
		fs.BoolVar(&p.payload.VM, "vm", false, "boot a virtual machine over the network, too; pictures of its screen are kept in the state directory's vm")
	}
	p.options.Register(fs)
	if p.Machine == "" {
		fs.IntVar(&p.payload.Contestants, "contestants", 0, "add this `number` of light machines, which get an address and a name and report in")
	}
	if p.Flags != nil {
		p.Flags(fs)
	}
}

func (p *Program) check() error {
	if n := p.payload.Contestants; n < 0 || n > MaxContestants {
		return fmt.Errorf("-contestants %d: there is room for %d", n, MaxContestants)
	}
	err := errors.Join(cli.OneOf("generation", p.payload.Generation, "2018", "2019"), p.payload.Validate(), p.options.Complete())
	if p.ownSADM = p.payload.Dir == ""; p.ownSADM {
		p.payload.Dir = standIn(p.options.State)
	}
	mirror := "http://" + HostAddress + ":" + lab.MirrorPort
	if strings.Contains(p.options.Mirror, "://") {
		mirror = strings.TrimRight(p.options.Mirror, "/")
	}
	p.payload.Internet = mirror + "/core/os/x86_64/core.db"
	p.payload.Pictures = filepath.Join(p.options.State, picturesDir)
	return err
}
