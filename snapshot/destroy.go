package snapshot

import (
	"context"
	"fmt"
	"os"
)

// Destroy turns the store's directory back into an ordinary one and closes the
// Store. It fails with [ErrBusy], and the store stays open, while there is a
// volume: delete all of them before. Whatever else is in the directory stays.
func (s *Store) Destroy(ctx context.Context) error {
	return wrap(Error{Op: "destroy", Path: s.dir}, s.destroy(ctx))
}

func (s *Store) destroy(ctx context.Context) error {
	// Swept first: what a dead process was about to remove is in no volume any more.
	err := s.locked(ctx, "destroy", func() error {
		for v, err := range s.Volumes(ctx) {
			if err == nil {
				err = fmt.Errorf("%w: it has the volume %s", ErrBusy, v.Name())
			}
			return err
		}
		// The workshop first: if something in it stays, so does the store.
		if err := os.RemoveAll(s.state("work")); err != nil {
			return err
		}
		return os.RemoveAll(s.state())
	})
	if err != nil {
		return err
	}
	return s.Close()
}
