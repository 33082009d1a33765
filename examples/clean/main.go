// Clean removes what the lab has on this host, and shows that nothing is left.
package main

import (
	"context"
	"flag"
	"os"

	"github.com/prologin/rig/examples/internal/prolo"
	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage/cli"
)

func main() {
	var yes bool
	clean := prolo.Tool{
		Name: "clean", Text: text,
		Flags: func(fs *flag.FlagSet) { fs.BoolVar(&yes, "yes", false, "do not ask before removing what is the lab's") },
		Run: func(ctx context.Context, c *cli.Command, config lab.Config, o lab.Options) error {
			return prolo.Clean(ctx, c, config, o, yes)
		},
	}
	os.Exit(clean.Main())
}

const text = `Lists what the lab has on this host: machines, network, trees and their snapshots,
mounts, records, also what dead programs left. Then it asks, removes all of it, and
looks again. What is where a lab's things are and none of them, such as another
machine of one of their names, is asked about one by one; without a terminal to ask
on it stays.

  clean                 list, ask, remove, look again
  clean </dev/null      list only
  clean -yes            list, remove, look again

Needs root.`
