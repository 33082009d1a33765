package prolo

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/prologin/rig/stage"
)

// CheckForks makes a number of copies of the lab as it is after its last stages, boots
// and checks them side by side, and removes them.
func (l *Lab) CheckForks(ctx context.Context, number int) error {
	var g errgroup.Group
	errs := make([]error, number)
	for i := range number {
		g.Go(func() error {
			errs[i] = l.checkFork(ctx, i+1)
			return nil
		})
	}
	g.Wait()
	return errors.Join(errs...)
}

func (l *Lab) checkFork(ctx context.Context, number int) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("fork %d: %w", number, err)
		}
	}()
	fork, err := l.Fork(ctx, number)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fork.Close(ctx)) }()
	targets := fork.Targets(l.targets)
	stages, err := l.Stages.Fork(ctx, l.Command.Steering(), stage.Options{
		StateDir: fork.StageDir(), Targets: targets, Parallel: 2 * len(targets),
		HostDial: fork.Dial, Secret: secret(l.State), OnFailure: stage.PolicyStop,
	})
	if err != nil {
		return err
	}
	result, err := stages.Run(ctx, stage.Steering{})
	if err == nil {
		l.Command.Say("fork %d: %d machines up, %d stages as they were, %d run again, in %v",
			number, len(targets), len(result.Cached), len(result.Ran), result.Elapsed.Round(1e7))
	}
	return err
}
