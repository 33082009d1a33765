// Pas boots a contestant's diskless machine and logs a contestant in. Run it with -h for
// what else it can do.
package main

import (
	"os"

	"github.com/prologin/rig/examples/internal/prolo"
	"github.com/prologin/rig/internal/lab/labcli"
)

func main() { os.Exit(program().Main()) }

func program() *labcli.Program { return prolo.Program("pas", prolo.MachinePas, text) }

const text = `Boots the contestant's machine pas-r11p11 from the root that rhfs0 exports, read-only,
logs a contestant in, sees the home appear, and go again. gw and rhfs0 have to be
set up before.

  gw && rhfs && pas     set up all three, one after the other
  pas -needs            the same in one go
  pas -vm               boot a virtual machine over the network, too: STATE/vm has
                        pictures of its screen, the stage's log its console
  pas -from STAGE       go back to just before a stage and replay from there
  pas -shell            look around in it
  pas -plan             how to do all this by hand
  pas -clean            remove every trace of the lab

Needs root.`
