package archboot

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openNetns opens a network namespace by its path.
func openNetns(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: network namespace: %w", ErrInvalid, err)
	}
	kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		f.Close()
		return nil, fmt.Errorf("%w: %s is no network namespace", ErrInvalid, path)
	}
	return f, nil
}

// checkNetns finds out whether there is the network namespace that the Config names.
func (c Config) checkNetns() error {
	if c.NetworkNamespace == "" {
		return nil
	}
	f, err := openNetns(c.NetworkNamespace)
	if err != nil {
		return err
	}
	return f.Close()
}
