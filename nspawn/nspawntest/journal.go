package nspawntest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prologin/rig/nspawn"
)

func testJournal(t *testing.T, s *suite) {
	root := s.root(t)
	if err := os.MkdirAll(filepath.Join(root, "var/log/journal"), 0o755); err != nil {
		t.Fatal(err)
	}
	m := s.boot(t, nspawn.Config{Name: s.name("journal"), Root: root})
	ctx := testContext(t)
	shell(t, m, `echo first | systemd-cat -t teller -p warning; echo second | systemd-cat -t teller -p info; printf 'bin\377ary' | systemd-cat -t teller; journalctl --sync`)
	queryJournal(ctx, t, m)
	followJournal(ctx, t, m)
	if dead := told(ctx, t, m, nspawn.JournalOptions{}); len(dead) < 4 || dead[0].Message != "first" {
		t.Errorf("of the ended machine: %+v", dead)
	}

	// A link to the host's journal leads to no journal.
	if err := os.RemoveAll(filepath.Join(root, "var/log/journal")); err != nil {
		t.Fatal(err)
	}
	symlink(t, t.TempDir(), root, "var/log/journal")
	for _, err := range m.Journal(ctx, nspawn.JournalOptions{}) {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("by a link out of the root: %v", err)
		}
	}
}

// told are the entries that are this test's own.
func told(ctx context.Context, t *testing.T, m *nspawn.Machine, options nspawn.JournalOptions) (entries []nspawn.JournalEntry) {
	t.Helper()
	for e, err := range m.Journal(ctx, options) {
		if err != nil {
			t.Errorf("%+v: %v", options, err)
			return
		}
		if e.Identifier == "teller" {
			entries = append(entries, e)
		}
	}
	return entries
}

func queryJournal(ctx context.Context, t *testing.T, m *nspawn.Machine) {
	t.Helper()
	all := told(ctx, t, m, nspawn.JournalOptions{})
	if len(all) != 3 || all[0].Message != "first" || all[0].Priority != 4 || all[2].Message != "bin\xffary" {
		t.Fatalf("entries: %+v", all)
	}
	if since := time.Since(all[0].Time); since < 0 || since > time.Minute {
		t.Errorf("an entry of now is %v old", since)
	}
	if rest := told(ctx, t, m, nspawn.JournalOptions{AfterCursor: all[0].Cursor, ThisBoot: true}); len(rest) != 2 || rest[0].Message != "second" {
		t.Errorf("after the first: %+v", rest)
	}
	if loud := told(ctx, t, m, nspawn.JournalOptions{Priority: "warning"}); len(loud) != 1 {
		t.Errorf("warnings: %+v", loud)
	}
	for e, err := range m.Journal(ctx, nspawn.JournalOptions{Unit: "systemd-journald.service", Lines: 1}) {
		if err != nil || e.Unit != "systemd-journald.service" {
			t.Errorf("by unit: %+v, %v", e, err)
		}
	}
}

// followJournal leaves a journal that goes on, and follows one to the end of the machine.
func followJournal(ctx context.Context, t *testing.T, m *nspawn.Machine) {
	t.Helper()
	follow, cancel := context.WithCancel(ctx)
	defer cancel()
	for e, err := range m.Journal(follow, nspawn.JournalOptions{Follow: true, Lines: 1}) {
		if err != nil {
			t.Errorf("follow: %v", err)
		}
		if e.Message == "followed" {
			break
		}
		shell(t, m, "echo followed | systemd-cat -t teller")
	}
	ended := make(chan error, 1)
	following := make(chan struct{})
	go func() {
		heard := sync.OnceFunc(func() { close(following) })
		for _, err := range m.Journal(ctx, nspawn.JournalOptions{Follow: true, Lines: 1}) {
			heard()
			if err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	<-following
	if err := m.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the end of what was followed: %v", err)
	}
}

// testJournalCutShort ends a machine while its journalctl is in the middle of an entry.
func testJournalCutShort(t *testing.T, s *suite) {
	root := s.root(t)
	const journalctl = "usr/local/bin/journalctl"
	writeFile(t, root, journalctl, `#!/bin/sh
case "$*" in *--follow*) ;; *) exec /usr/bin/journalctl "$@" ;; esac # the system's own
printf '{"MESSAGE": "whole"}\n{"MESSAGE": "half'
exec sleep 1000
`)
	if err := os.Chmod(filepath.Join(root, journalctl), 0o755); err != nil {
		t.Fatal(err)
	}
	m := s.boot(t, nspawn.Config{Name: s.name("cut"), Root: root})
	var heard []string
	killed := make(chan error, 1)
	for e, err := range m.Journal(testContext(t), nspawn.JournalOptions{Follow: true}) {
		if err != nil {
			t.Error(err)
			break
		}
		heard = append(heard, e.Message)
		go func() { killed <- m.Kill(testContext(t)) }()
	}
	if !slices.Equal(heard, []string{"whole"}) {
		t.Fatalf("heard %q", heard)
	}
	if err := <-killed; err != nil {
		t.Error(err)
	}
}
