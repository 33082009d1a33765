package testhost

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// Clean stops the module's hosts, of any suite, and removes the images of all
// hosts. Hosts of other modules that run have copies of their own.
func Clean(ctx context.Context, cfg Config) error {
	var err error
	for _, cfg.Suite = range suites {
		for _, cfg.VM = range []bool{false, true} {
			err = errors.Join(err, Stop(ctx, cfg))
		}
	}
	return errors.Join(err, os.RemoveAll(filepath.Join(dir(), "image")))
}
