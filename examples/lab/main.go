// Lab sets up all machines of the lab as one graph. Run it with -h for what else it
// can do.
package main

import (
	"os"

	"github.com/prologin/rig/examples/internal/prolo"
)

func main() { os.Exit(prolo.Program("lab", "", text).Main()) }

const text = `Sets up all machines of Prologin's lab as one graph, side by side where what they
need of each other allows it, checks each stage and keeps a snapshot after it.

  lab                   set up what is new, check, power off
  lab -keep             the same, and leave all running
  lab -only myweb       web, and what it needs
  lab -from mygw/udb    go back to just before a stage, with all that depends on it
  lab -report lab.html  write the run as a page
  lab -checkpoint NAME  keep all machines at one moment under a name; lab -restore NAME
  lab -fork 3           check three copies of the lab side by side
  lab -bisect 'mygw: COMMAND'   find the stage that broke a command
  lab -contestants 20   with twenty contestants' machines
  lab -clean            remove every trace

Needs root.`
