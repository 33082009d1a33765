// Package cli makes a command line program of a lab: the flags that every such
// program has, with the same meaning everywhere, what is shown meanwhile, reports,
// Ctrl-C and exit statuses.
//
//	func main() {
//		os.Exit(cli.Main(cli.Program{
//			Name: "gw", Machine: "mygw", Text: usage, Plan: plan, Run: run,
//		}))
//	}
//
// A program says what its plan is and how to open its lab; [Command] does what the
// flags ask for. Ctrl-C once ends the context, which powers machines off and leaves
// a state to go on from; twice ends the program at once, and the next run sweeps.
//
// In bash, "complete -C gw gw" completes flags and the names of stages.
package cli
