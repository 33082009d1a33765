// Web sets up web, the server of the contest's sites. Run it with -h for what else it
// can do.
package main

import (
	"os"

	"github.com/prologin/rig/examples/internal/prolo"
	"github.com/prologin/rig/internal/lab/labcli"
)

func main() { os.Exit(program().Main()) }

func program() *labcli.Program { return prolo.Program("web", prolo.MachineWeb, text) }

const text = `Boots Prologin's machine web in a container beside gw and sets it up stage by
stage: nginx, PostgreSQL, and the contest's sites. gw has to be set up before.

  gw && web             set up both, one after the other
  web -needs            the same in one go
  web -from STAGE       go back to just before a stage and replay from there
  web -keep             leave gw and web running; curl http://192.168.1.100/ from gw
  web -plan             how to do all this by hand
  web -clean            remove every trace of the lab

Needs root.`
