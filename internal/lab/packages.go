package lab

import (
	"context"
	"net"
	"os"
	"strings"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
)

// MirrorPort is where the embedded mirror listens on the bridge. It is fixed
// because the machines' pacman.conf has it. The host's pacman reaches the mirror
// by loopback, before there is a bridge.
const MirrorPort = "8730"

// embedded reports whether packages come from the mirror made of Debian packages.
func (l *Lab) embedded() bool { return !l.realMirror() && l.Mirror != noMirror }

// openPackages finds where packages come from.
func (l *Lab) openPackages(ctx context.Context) error {
	l.source = l.Config.Base
	l.source.Logger = l.Logger
	switch {
	case l.embedded():
		return l.openMirror(ctx)
	case l.Mirror == noMirror:
		l.say("packages: from where the base takes them")
		return nil
	}
	l.say("packages: %s", l.Mirror)
	l.source.Repositories = repositories(l.Mirror)
	if l.MirrorKeys == "" {
		return nil
	}
	keys, err := os.ReadFile(l.MirrorKeys)
	l.source.Keys = [][]byte{keys}
	return err
}

func (l *Lab) mirrorOptions() archtest.Options {
	return archtest.Options{Suite: archtest.Suite(l.Mirror), AddOns: l.AddOns, CacheDir: l.Cache, Logger: l.Logger}
}

func (l *Lab) openMirror(ctx context.Context) error {
	l.say("packages: a mirror made of Debian packages in %s; -mirror URL chooses a real one", l.Cache)
	bar := newProgress(l.out(), "mirror")
	defer bar.done()
	options := l.mirrorOptions()
	options.Progress = func(e archtest.Event) { bar.show(e.Message) }
	mirror, err := archtest.Start(ctx, options)
	if err != nil {
		return err
	}
	l.onClose(func(context.Context) error { return mirror.Close() })
	l.mirror = mirror
	l.source.Repositories = repositories(mirror.URL)
	l.source.MachineRepositories = repositories("http://" + l.mirrorAddress())
	l.source.Keys = [][]byte{mirror.PublicKey()}
	return nil
}

func (l *Lab) mirrorAddress() string { return net.JoinHostPort(l.Prefix.Addr().String(), MirrorPort) }

// serve has the embedded mirror listen on the bridge, once.
func (l *Lab) serve(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mirror == nil || l.served {
		return nil
	}
	_, err := l.mirror.Listen(ctx, l.mirrorAddress(), l.Netns)
	l.served = err == nil
	return err
}

func repositories(url string) []archboot.Repository {
	server := strings.TrimRight(url, "/") + "/$repo/os/$arch"
	return []archboot.Repository{
		{Name: "core", Servers: []string{server}},
		{Name: "extra", Servers: []string{server}},
	}
}
