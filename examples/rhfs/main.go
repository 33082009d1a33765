// Rhfs sets up rhfs0, the server of the contestants' roots and homes. Run it with -h for
// what else it can do.
package main

import (
	"os"

	"github.com/prologin/rig/examples/internal/prolo"
	"github.com/prologin/rig/internal/lab/labcli"
)

func main() { os.Exit(program().Main()) }

func program() *labcli.Program { return prolo.Program("rhfs", prolo.MachineRHFS, text) }

const text = `Boots Prologin's machine rhfs0 in a container beside gw and sets it up stage by
stage: the root file system that the contestants' machines boot from, exported by
NFS, and their homes, exported by NBD. gw has to be set up before.

  gw && rhfs            set up both, one after the other
  rhfs -needs           the same in one go
  rhfs -from STAGE      go back to just before a stage and replay from there
  rhfs -keep            leave gw and rhfs0 running
  rhfs -plan            how to do all this by hand
  rhfs -clean           remove every trace of the lab

Needs root.`
