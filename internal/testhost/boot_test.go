package testhost_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/internal/testexec"
	"github.com/prologin/rig/internal/testhost"
	"github.com/prologin/rig/internal/testroot"
)

// TestBootFails puts something else in nspawn's place.
func TestBootFails(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip(testroot.ErrNotRoot)
	}
	cfg := config(t)
	_, err := testhost.Build(t.Context(), cfg)
	check(t, err)
	for name, tt := range map[string]struct {
		nspawn string
		want   error
	}{
		"ends":   {"echo no such luck; exit 1", testhost.ErrGone},
		"hangs":  {"echo no such luck; touch $0.hangs; exec sleep 1000", context.Canceled},
		"forks":  {"echo no such luck; setsid sleep 1000 & exit 0", testhost.ErrGone},
		"no PID": {"echo no such luck; exec systemd-notify --ready", testhost.ErrGone},
	} {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			testexec.Write(t, filepath.Join(bin, "systemd-nspawn"), []byte("#!/bin/sh\n"+tt.nspawn))
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go cancelOnce(ctx, cancel, filepath.Join(bin, "systemd-nspawn.hangs"))
			_, err := testhost.Acquire(ctx, cfg)
			if !errors.Is(err, testhost.ErrBoot) || !errors.Is(err, tt.want) || !strings.Contains(err.Error(), "no such luck") {
				t.Errorf("error %v, want %v with the console", err, tt.want)
			}
			var fault *testhost.Error
			if errors.As(err, &fault) {
				gone(t, fault.Host)
			}
		})
	}
}

// cancelOnce cancels once the file exists.
func cancelOnce(ctx context.Context, cancel func(), file string) {
	for ctx.Err() == nil {
		if _, err := os.Stat(file); err == nil {
			cancel()
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestUnknownSuite(t *testing.T) {
	t.Parallel()
	_, err := testhost.Acquire(t.Context(), testhost.Config{Suite: "potato"})
	if err == nil || !strings.Contains(err.Error(), "bookworm") {
		t.Errorf("error %v, want one that names the suites", err)
	}
}
