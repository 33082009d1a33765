package lab

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
)

// Prepare makes of this host what machines need: network, storage, mirror and the
// base that they are cloned from, and loads the kernel's network block devices where
// it has any. All of it stays. It may be called again, which changes nothing.
func Prepare(ctx context.Context, c Config, o Options) (err error) {
	o.Keep, o.Persistent = true, true
	l, err := Open(ctx, c, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close(ctx)) }()
	base, err := l.base(ctx)
	if err != nil {
		return &HostError{err}
	}
	l.say("base:     %s, key %.12s", baseVolume, base.Key)
	l.loadNBD(ctx)
	return nil
}

// loadNBD loads the module nbd. A host without it does without.
func (l *Lab) loadNBD(ctx context.Context) {
	if _, err := os.Stat("/sys/module/nbd"); err == nil {
		return
	}
	if out, err := exec.CommandContext(ctx, "modprobe", "nbd").CombinedOutput(); err != nil {
		why, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if why == "" {
			why = err.Error()
		}
		l.say("nbd:      the kernel's is not to be had (%s): homes come by nbdfuse", why)
		return
	}
	l.say("nbd:      loaded")
}
