package stage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

func TestLock(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	inside, goOn := make(chan bool), make(chan bool)
	f.plan.Setups[0].Stages[0].Steps = []stage.Step{command{"hold"}}
	f.machines["gw"].Handle("hold", func(context.Context, *stagetest.Proc) error {
		close(inside)
		<-goOn
		return nil
	})
	first := make(chan error)
	lab := f.lab()
	go func() {
		_, err := lab.Run(context.Background(), stage.Steering{})
		first <- err
	}()
	<-inside
	f.opts.NoWait = true
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	if !errors.Is(err, stage.ErrBusy) || !strings.Contains(err.Error(), fmt.Sprintf("process %d on ", os.Getpid())) {
		t.Errorf("error %v", err)
	}
	f.opts.NoWait = false
	waiting := make(chan bool, 1)
	second, err := stage.Open(f.plan, stage.Options{
		StateDir: f.opts.StateDir,
		Targets:  map[string]stage.Target{"gw": {Machine: f.machines["gw"], Volume: f.volumes["gw"]}},
		Events: func(e stage.Event) {
			if e.Kind == stage.EventWaiting {
				waiting <- true
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := second.Run(context.Background(), stage.Steering{})
		done <- err
	}()
	<-waiting
	close(goOn)
	if err := errors.Join(<-first, <-done); err != nil {
		t.Error(err)
	}
}
