package view

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/internal/golden"
	"github.com/prologin/rig/stage"
)

// events is a run in which one machine goes on, one fails and one is blocked.
func events() []stage.Event {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	list := []stage.Event{
		{Kind: stage.EventRunStarted, Text: "prolo", Total: 6},
		{Kind: stage.EventPlanned, Machine: "gw", Stage: "network", Text: "cached", Why: "snapshot 0123"},
		{Kind: stage.EventPlanned, Machine: "gw", Stage: "nginx", Text: "run", Why: "step 1: content changed"},
		{Kind: stage.EventPlanned, Machine: "gw", Stage: "redmine", Text: "skipped", Why: "not ready"},
		{Kind: stage.EventPlanned, Machine: "web", Stage: "copy", Text: "run"},
		{Kind: stage.EventPlanned, Machine: "pas-r11p11", Stage: "login", Text: "run"},
		{Kind: stage.EventStageWaiting, Machine: "pas-r11p11", Stage: "login", Text: "web/copy"},
		{Kind: stage.EventRestoring, Machine: "gw", Stage: "network", Text: "network-0123"},
		{Kind: stage.EventRestored, Machine: "gw", Stage: "network", Text: "network-0123", Elapsed: 12 * time.Millisecond},
		{Kind: stage.EventMachineStarting, Machine: "gw"},
		{Kind: stage.EventMachineStarted, Machine: "gw", Elapsed: 412 * time.Millisecond},
		{Kind: stage.EventNote, Machine: "web", Text: "snapshot x cannot be restored, going back further"},
		{Kind: stage.EventStageStarted, Machine: "web", Stage: "copy", Why: "never completed"},
		{Kind: stage.EventStageEnded, Machine: "web", Stage: "copy", Err: "web/copy: step\nmore", Elapsed: time.Second},
		{Kind: stage.EventStageBlocked, Machine: "pas-r11p11", Stage: "login", Err: "needs web/copy"},
		{Kind: stage.EventStageStarted, Machine: "gw", Stage: "nginx", Why: "step 1: content changed"},
		{Kind: stage.EventStepStarted, Machine: "gw", Stage: "nginx", Index: 1, Total: 1, Text: "systemctl enable --now nginx.service"},
		{Kind: stage.EventOutput, Machine: "gw", Stage: "nginx", Text: "Created symlink " + strings.Repeat("/very/long", 20)},
		{Kind: stage.EventOutput, Machine: "gw", Stage: "nginx", Text: "サービスを" + strings.Repeat("開始しています", 8) + " e\u0301 👍"},
		{Kind: stage.EventStepEnded, Machine: "gw", Stage: "nginx", Index: 1, Total: 1, Text: "systemctl enable --now nginx.service"},
		{Kind: stage.EventCheckWaiting, Machine: "gw", Stage: "nginx", Text: "nginx.service is active", Err: "activating"},
		{Kind: stage.EventCheckPassed, Machine: "gw", Stage: "nginx", Text: "nginx.service is active", Elapsed: 90 * time.Millisecond},
		{Kind: stage.EventSaving, Machine: "gw", Stage: "nginx", Why: "frozen"},
		{Kind: stage.EventSaved, Machine: "gw", Stage: "nginx", Why: "frozen", Elapsed: 5 * time.Millisecond},
		{Kind: stage.EventStageEnded, Machine: "gw", Stage: "nginx", Elapsed: 2 * time.Second},
		{Kind: stage.EventRunEnded, Text: "prolo", Elapsed: 3 * time.Second, Err: "web/copy: step\nmore"},
	}
	for i := range list {
		list[i].Seq, list[i].Time = i+1, at.Add(time.Duration(i)*100*time.Millisecond)
	}
	return list
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, verbose := range []bool{false, true} {
		var b strings.Builder
		v := Lines(&b, Options{Verbose: verbose})
		for _, e := range events() {
			v.Event(e)
		}
		v.Close()
		golden.Equal(t, filepath.Join("testdata", fmt.Sprintf("lines-verbose-%v.golden", verbose)), b.String())
	}
}

// TestPicture looks at the live picture after each event, at several sizes.
func TestPicture(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ cols, rows int }{{80, 24}, {40, 24}, {60, 20}, {40, 12}, {120, 5}, {12, 24}} {
		t.Run(fmt.Sprintf("%dx%d", size.cols, size.rows), func(t *testing.T) {
			t.Parallel()
			l := &live{w: new(strings.Builder), size: func() (int, int) { return size.cols, size.rows }}
			var all strings.Builder
			for _, e := range events() {
				l.note(e)
				lines := l.picture(size.cols, size.rows, e.Time.Add(1500*time.Millisecond))
				if len(lines) > size.rows-2 {
					t.Errorf("after %s: %d lines on a terminal of %d", e.Kind, len(lines), size.rows)
				}
				for _, line := range lines {
					if n := width(line); n >= size.cols {
						t.Errorf("after %s: a line of %d columns on a terminal of %d: %q", e.Kind, n, size.cols, line)
					}
					all.WriteString(strings.TrimRight(line, " ") + "\n")
				}
				all.WriteString("\n")
			}
			golden.Equal(t, filepath.Join("testdata", fmt.Sprintf("picture-%dx%d.golden", size.cols, size.rows)), all.String())
		})
	}
}

func TestWidth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		room int
		want string
	}{
		{"plain", 5, "plain"}, {"plain", 4, "pla…"}, {"", 3, ""}, {"x", 0, ""},
		{"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"日本語", 1, "…"},
		{"e\u0301te\u0301", 3, "e\u0301te\u0301"}, {"e\u0301te\u0301x", 3, "e\u0301t…"}, {"👍👍", 4, "👍👍"},
		{"two\nlines\t\x1b", 20, "two lines  "},
	} {
		got := fit(tt.text, tt.room)
		if got != tt.want || width(got) > tt.room {
			t.Errorf("fit(%q, %d) = %q of %d columns, want %q", tt.text, tt.room, got, width(got), tt.want)
		}
		if n := width(pad(tt.text, 8)); n != 8 {
			t.Errorf("%q is padded to %d columns", tt.text, n)
		}
	}
	if n := shown(painter(true).bold("日本") + " " + painter(true).bad("x")); n != 6 {
		t.Errorf("coloured text of %d columns, want 6", n)
	}
}

// TestPause makes sure that nothing is written while somebody else has the terminal, and
// nothing is lost but output.
func TestPause(t *testing.T) {
	t.Parallel()
	var b, plain strings.Builder
	v := &View{live: newLive(&b, func() (int, int) { return 80, 24 }, true, false)}
	lines := Lines(&plain, Options{Verbose: true})
	resume, before := func() {}, 0
	for i, e := range events() {
		if i == 5 {
			resume = v.Pause()
			v.live.mu.Lock()
			before = b.Len()
			v.live.mu.Unlock()
		}
		if i == 20 {
			<-time.After(3 * refresh) // what moves by itself must rest as well
			v.live.mu.Lock()
			if b.Len() != before {
				t.Errorf("written while paused: %q", b.String()[before:])
			}
			v.live.mu.Unlock()
			resume()
			resume() // harmless
		}
		v.Event(e)
		if e.Kind != stage.EventOutput {
			lines.Event(e)
		}
	}
	v.Close()
	if got := screen(b.String()); got != plain.String() {
		t.Errorf("what is left:\n%s\nwant:\n%s", got, plain.String())
	}
}

// TestWrite has lines of somebody else between the events: they are left as they came, and
// those of a pause come after it.
func TestWrite(t *testing.T) {
	t.Parallel()
	var b, plain strings.Builder
	v := &View{live: newLive(&b, func() (int, int) { return 80, 24 }, false, false)}
	lines := Lines(&plain, Options{})
	resume := func() {}
	for i, e := range events() {
		switch i {
		case 5:
			resume = v.Pause()
		case 20:
			resume()
		}
		v.Event(e)
		lines.Event(e)
		for _, view := range []*View{v, lines} {
			fmt.Fprintf(view, "level=INFO msg=%d\nand more\n", i)
		}
	}
	v.Close()
	fmt.Fprintln(v, "after the end")
	fmt.Fprintln(lines, "after the end")
	if got := screen(b.String()); got != plain.String() {
		t.Errorf("what is left:\n%s\nwant:\n%s", got, plain.String())
	}
}

func TestNarrowed(t *testing.T) {
	t.Parallel()
	l := &live{size: func() (int, int) { return 10, 24 }, drawn: []int{25, 10, 0}}
	if got, want := l.erase(), "\x1b[5A\r\x1b[J"; got != want { // 3 rows, 1 and 1
		t.Errorf("erased by %q, want %q", got, want)
	}
}

func TestLiveLeavesOnlyLines(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	l := newLive(&b, func() (int, int) { return 80, 24 }, false, false)
	for _, e := range events() {
		l.event(e)
	}
	l.close()
	l.close() // harmless
	var plain strings.Builder
	v := Lines(&plain, Options{})
	for _, e := range events() {
		v.Event(e)
	}
	if got := screen(b.String()); got != plain.String() {
		t.Errorf("what is left:\n%s\nwant:\n%s", got, plain.String())
	}
}

// screen does what a tall terminal does with the few sequences that a live view uses.
func screen(s string) string {
	lines := []string{""}
	for s != "" {
		var n int
		switch {
		case strings.HasPrefix(s, "\x1b[J"):
			s, lines[len(lines)-1] = s[3:], ""
		case strings.HasPrefix(s, "\x1b["):
			fmt.Sscanf(s, "\x1b[%dA", &n)
			s = s[strings.IndexByte(s, 'A')+1:]
			lines = lines[:len(lines)-n]
		case s[0] == '\r':
			s = s[1:]
		case s[0] == '\n':
			s, lines = s[1:], append(lines, "")
		default:
			lines[len(lines)-1] += s[:1]
			s = s[1:]
		}
	}
	return strings.Join(lines, "\n")
}

func TestFileIsNoTerminal(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	v := New(f, Options{})
	for _, e := range events() {
		v.Event(e)
	}
	v.Close()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(f.Name())
	if err != nil || strings.Contains(string(data), "\x1b") || !strings.Contains(string(data), "gw/nginx: done in 2s\n") {
		t.Error(errors.Join(err, fmt.Errorf("written: %q", data)))
	}
}
