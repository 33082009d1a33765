package qemu

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestConsole(t *testing.T) {
	t.Parallel()
	var raw strings.Builder
	c := newConsole(&raw)
	found := make(chan error)
	go func() { found <- c.expect(t.Context(), "iPXE 1.0") }()
	for _, piece := range []string{"\x1b[2", "J\x1b[1;1Hi", "PX\x1b[0mE 1", ".0 starts\r\n"} {
		if _, err := c.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-found; err != nil {
		t.Error(err)
	}
	if err := c.expect(t.Context(), "starts"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(raw.String(), "\x1b[2J") {
		t.Errorf("the copy lacks what came: %q", raw.String())
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.expect(ctx, "starts"); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "iPXE 1.0 starts") {
		t.Errorf("waiting again for what was seen: %v", err)
	}
	c.close()
	if err := c.expect(t.Context(), "more"); err == nil || !strings.Contains(err.Error(), "ended before") {
		t.Errorf("the console of a machine that ended: %v", err)
	}
}

func FuzzEscapes(f *testing.F) {
	f.Add([]byte("\x1b[1;31mred\x1b[0m\r\n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, at int) {
		at = max(0, min(at, len(text)))
		var whole, pieces escapes
		a := whole.strip(nil, text)
		b := pieces.strip(pieces.strip(nil, text[:at]), text[at:])
		if string(a) != string(b) {
			t.Errorf("cut at %d: %q, not %q", at, b, a)
		}
	})
}
