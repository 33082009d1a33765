package archboot

import (
	"context"
	"os"
)

// Unpack unpacks a bootstrap tarball, for benchmarks.
func Unpack(ctx context.Context, name, dir string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return extract(ctx, f, dir, "root.x86_64")
}
