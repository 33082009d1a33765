// Clean removes what the lab has on this host, and shows that nothing is left.
package main

import (
	"os"

	"github.com/prologin/rig/examples/internal/prolo"
)

func main() { os.Exit(prolo.Clean(text).Main()) }

const text = `Lists what the lab has on this host: machines, network, trees and their snapshots,
mounts, records, also what dead programs left. Then it asks, removes all of it, and
looks again. What is where a lab's things are and none of them, such as another
machine of one of their names, is asked about one by one; without a terminal to ask
on it stays.

  clean                 list, ask, remove, look again
  clean </dev/null      list only
  clean -yes            list, remove, look again

Needs root.`
