// Gw boots Prologin's gw machine in a container on a private network and sets it
// up stage by stage. Run it with -h for what else it can do.
package main

import (
	"os"

	"github.com/prologin/rig/examples/internal/prolo"
	"github.com/prologin/rig/internal/lab/labcli"
)

func main() { os.Exit(program().Main()) }

func program() *labcli.Program { return prolo.Program("gw", prolo.MachineGW, text) }

const text = `Boots Prologin's machine gw in a container on the private network vz-prolo, sets it
up stage by stage, checks each stage and keeps a snapshot after it. Run again, it
goes on after the last stage that is still as it was; with nothing to do it checks
that stage again.

  gw                    set up what is new, check, power off
  gw -keep              the same, and leave the machine running
  gw -from STAGE        go back to just before a stage and replay from there
  gw -until STAGE -shell   look around after a stage
  gw -plan              how to do all this by hand
  gw -clean             remove every trace

Needs root.`
