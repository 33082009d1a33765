package prolo

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/snapshot"
)

// openPackages finds where packages come from.
func (l *Lab) openPackages(ctx context.Context) error {
	if l.Mirror != "" {
		l.say("packages: %s", l.Mirror)
		l.source.Repositories = repositories(l.Mirror)
		if l.MirrorKeys == "" {
			return nil
		}
		keys, err := os.ReadFile(l.MirrorKeys)
		l.source.Keys = [][]byte{keys}
		return err
	}
	l.say("packages: a mirror made of Debian packages in %s; -mirror URL chooses a real one", l.Cache)
	bar := newProgress(l.out, "mirror")
	defer bar.done()
	mirror, err := archtest.Start(ctx, archtest.Options{
		AddOns:   AddOns(),
		CacheDir: l.Cache,
		Progress: func(e archtest.Event) { bar.show(e.Message) },
		Logger:   l.log,
	})
	if err != nil {
		return err
	}
	l.onClose(func(context.Context) error { return mirror.Close() })
	l.mirror = mirror
	l.source.Repositories = repositories(mirror.URL)
	l.source.MachineRepositories = repositories("http://" + HostAddress + ":" + mirrorPort)
	l.source.Keys = [][]byte{mirror.PublicKey()}
	return nil
}

func repositories(url string) []archboot.Repository {
	server := strings.TrimRight(url, "/") + "/$repo/os/$arch"
	return []archboot.Repository{
		{Name: "core", Servers: []string{server}},
		{Name: "extra", Servers: []string{server}},
	}
}

// basePackages are those of the document's own bootstrap script.
func basePackages() string { return "base vim openssh rxvt-unicode-terminfo bind-tools" }

// base returns the root that every machine starts as, and makes it first if
// there is none of this configuration.
func (l *Lab) base(ctx context.Context) (snapshot.Snapshot, error) {
	config := l.source
	config.Packages = strings.Fields(basePackages())
	config.Locale, config.TimeZone = "en_US.UTF-8", "Europe/Paris"
	config.NTP = []string{"ntp." + Domain}
	if l.Password != "" {
		file, err := os.Open(l.Password)
		if err != nil {
			return snapshot.Snapshot{}, err
		}
		defer file.Close()
		config.Password = file
	}
	key := config.Key()
	volume, err := l.store.Volume(baseVolume)
	if err == nil {
		if found, err := volume.FindKey(ctx, key); !errors.Is(err, snapshot.ErrNotFound) {
			return found, err
		}
		err = volume.Delete(ctx) // of another configuration, or half made
	}
	if err != nil && !errors.Is(err, snapshot.ErrNotFound) {
		return snapshot.Snapshot{}, err
	}
	return l.bootstrap(ctx, config, key)
}

func (l *Lab) bootstrap(ctx context.Context, config archboot.Config, key string) (snapshot.Snapshot, error) {
	volume, err := l.store.Create(ctx, baseVolume)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	bar := newProgress(l.out, "base")
	defer bar.done()
	config.Progress = func(e archboot.Event) { bar.show(e.String()) }
	config.Logger = l.log
	if err := archboot.Bootstrap(ctx, volume.Path(), config); err != nil {
		return snapshot.Snapshot{}, err
	}
	return volume.Snapshot(ctx, "base", snapshot.Metadata{Key: key})
}
