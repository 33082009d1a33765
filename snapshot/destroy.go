package snapshot

import (
	"context"
	"errors"
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
	if err := s.lock.acquire(ctx, "destroy"); err != nil {
		return err
	}
	for v, err := range s.Volumes(ctx) {
		if err == nil {
			err = fmt.Errorf("%w: it has the volume %s", ErrBusy, v.Name())
		}
		return errors.Join(err, s.lock.release())
	}
	return errors.Join(os.RemoveAll(s.state()), s.lock.release(), s.Close())
}
