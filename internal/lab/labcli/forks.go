package labcli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/prologin/rig/stage"
)

// checkForks makes a number of copies of the lab as it is after its last stages, boots
// and checks them side by side, and removes them.
func (r *run) checkForks(ctx context.Context, number int) (err error) {
	var checks errgroup.Group
	errs := make([]error, number)
	defer func() { err = errors.Join(append(errs, err)...) }()
	for i := range number {
		fork, err := r.Fork(ctx, i+1)
		if err != nil {
			return errors.Join(fmt.Errorf("fork %d: %w", i+1, err), checks.Wait())
		}
		targets := fork.Targets(r.targets)
		stages, err := r.stages.Fork(ctx, r.command.Steering(), stage.Options{
			StateDir: fork.StageDir(), Targets: targets, Parallel: 2 * len(targets),
			HostDial: fork.Dial, Secret: r.secret, OnFailure: stage.PolicyStop,
		})
		checks.Go(func() error {
			if err == nil {
				err = r.checkFork(ctx, i+1, stages)
			}
			if err = errors.Join(err, fork.Close(ctx)); err != nil {
				errs[i] = fmt.Errorf("fork %d: %w", i+1, err)
			}
			return nil
		})
	}
	return checks.Wait()
}

func (r *run) checkFork(ctx context.Context, number int, fork *stage.Lab) error {
	result, err := fork.Run(ctx, stage.Steering{})
	if err == nil {
		r.command.Say("fork %d: %d stages as they were, %d run again, in %v",
			number, len(result.Cached), len(result.Ran), result.Elapsed.Round(10*time.Millisecond))
	}
	return err
}
