package view_test

import (
	"os"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/view"
)

// The same options suit a terminal, a pipe and a log file.
func ExampleNew() {
	v := view.New(os.Stdout, view.Options{})
	defer v.Close()
	opts := stage.Options{StateDir: "/var/lib/lab/state", Events: v.Event}
	_ = opts
}
