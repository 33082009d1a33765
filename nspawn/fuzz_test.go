package nspawn

import (
	"os/exec"
	"strings"
	"testing"
)

// FuzzParsers feeds what a hostile machine could say to everything that reads
// it: nothing may panic, and what is found was in the text.
func FuzzParsers(f *testing.F) {
	for _, seed := range []string{
		"root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:\n", "games:x:60:ann,bob\n", "X_NSPAWN_LEADER_PID=12\nREADY=1\n",
		"  0: 00000000:0016 00000000:0000 0A 00000000:00000000\n", "0::/rig/x\n1:name=systemd:/\n", "systemd 257 (257.7-1)\n+PAM",
		"\x1b[31mred\x1b[0m\r\nnext\n", "SIGRTMIN+4", "\x1d\x1d\x1d",
	} {
		f.Add(seed, "ann")
	}
	f.Fuzz(func(t *testing.T, text, word string) {
		if user := parsePasswd(text, word); user != nil && (user.home == "" || user.shell == "" || !strings.Contains(text, user.name)) {
			t.Errorf("user %+v", user)
		}
		_ = parseGroups(text, word)
		if n := parseNotification(text); n.leader < 0 {
			t.Errorf("leader %d", n.leader)
		}
		_ = listensOn([]byte(text), "tcp", 22)
		if path, err := parseCgroup(text); err == nil && !strings.Contains(text, "0::"+path) {
			t.Errorf("control group %q", path)
		}
		if version, err := parseVersion(text); err == nil && version < 0 {
			t.Errorf("version %d", version)
		}
		if signal, err := parseSignal(text); err == nil && (signal < 1 || signal > sigrtmax) {
			t.Errorf("signal %d", signal)
		}
		for _, line := range tailLines([]byte(text), 5) {
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				t.Errorf("line %q", line)
			}
		}
		_ = newJournalEntry(map[string]any{"MESSAGE": text, "PRIORITY": word, "_PID": []any{text, 1.0}})
	})
}

// TestShellQuote has a shell read the words back.
func TestShellQuote(t *testing.T) {
	t.Parallel()
	words := []string{"", " ", "a b", "it's", `"`, "$HOME", "`id`", "\\", "\n", "*", "~", "a=b", "#x", "-n", "ü", "\xff", ";&|<>()", "!", "'\\''"}
	line := CommandLine{Env: []string{"X=it's $HOME"}, Args: append([]string{"printf", `%s\0`}, words...)}
	out, err := exec.Command("sh", "-c", line.String()+`; printf %s "$X"`).Output()
	if err != nil || string(out) != strings.Join(words, "\x00")+"\x00" {
		t.Errorf("%q, %v, want %q", out, err, words)
	}
}
