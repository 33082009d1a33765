// Host makes this host ready for the lab, or tells what keeps it from being so.
package main

import (
	"os"

	"github.com/prologin/rig/examples/internal/prolo"
)

func main() { os.Exit(prolo.Host(text).Main()) }

const text = `Makes this host ready for the lab: the network vz-prolo with its way out, a place
for the machines' trees with the Arch base that they are cloned from, and the
kernel's network block devices, where it has any. All of it stays until clean
removes it. Every program does as much as it needs of this itself.

  host -check           what the host has and what it lacks, and what to do about it
  host                  make it ready

Needs root; -check can tell less without.`
