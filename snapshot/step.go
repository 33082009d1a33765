package snapshot

import "context"

// A probe is called before and after each system call that changes something on
// disk. Tests put one into the context to kill the process there, or to make the
// call fail: before is true for the call that is about to be made, and an error
// returned then is returned in its stead.
type probe func(name string, before bool) error

type probeKey struct{}

// withProbe returns a context whose operations call p.
func withProbe(ctx context.Context, p probe) context.Context {
	return context.WithValue(ctx, probeKey{}, p)
}

// step runs change, which is one system call that changes something on disk, or
// a run of them none of which matters alone.
func step(ctx context.Context, name string, change func() error) error {
	p, ok := ctx.Value(probeKey{}).(probe)
	if !ok {
		return change()
	}
	if err := p(name, true); err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	return p(name, false)
}
