package archboot

import (
	"context"
	"sync"
)

// arrivals tells which packages have been installed, so that what needs only those
// can be done while pacman, which uses one processor, goes on with the others.
type arrivals struct {
	mu      sync.Mutex
	current string // is being installed
	done    map[string]bool
	ended   bool
	changed chan struct{} // closed and replaced at each change
}

func newArrivals() *arrivals {
	return &arrivals{done: make(map[string]bool), changed: make(chan struct{})}
}

// begin says that a package is being installed, and hence the one before it is.
func (a *arrivals) begin(name string) {
	a.change(func() { a.done[a.current], a.current = true, name })
}

// end says that there is nothing more to come.
func (a *arrivals) end() { a.change(func() { a.ended = true }) }

func (a *arrivals) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	close(a.changed)
	a.changed = make(chan struct{})
}

// await returns when all of the packages are installed, or all that will ever be, and
// says whether it is the latter.
func (a *arrivals) await(ctx context.Context, names ...string) (ended bool, err error) {
	for {
		a.mu.Lock()
		ready, ended, changed := true, a.ended, a.changed
		for _, name := range names {
			ready = ready && a.done[name]
		}
		a.mu.Unlock()
		if ended || ready && len(names) > 0 {
			return ended, nil
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-changed:
		}
	}
}

// when calls f as soon as the packages are there and, should it fail that early, again
// when all are: a package's dependencies may not say all that its programs need.
func (a *arrivals) when(ctx context.Context, f func() error, names ...string) error {
	ended, err := a.await(ctx, names...)
	if err != nil {
		return err
	}
	if err = f(); err == nil || ended || ctx.Err() != nil {
		return err
	}
	if _, err := a.await(ctx); err != nil {
		return err
	}
	return f()
}
