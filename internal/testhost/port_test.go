package testhost

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestReceive reads what a port can have for one session after another was broken off.
func TestReceive(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want error
	}{
		"success": {`{"Session":"now","Exit":{}}`, nil},
		"status":  {`{"Session":"now","Exit":{"Code":3}}`, &ExitError{Code: 3}},
		"signal":  {`{"Session":"now","Exit":{"Signal":9}}`, &ExitError{Signal: syscall.SIGKILL}},
		"gone":    {"", io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			cmd := &exec.Cmd{Stdout: &stdout, Stderr: &stderr}
			err := receive(strings.NewReader(`a","Data":"b2xk"}
{"Session":"old","Stream":1,"Data":"b2xk"}
{"Session":"old","Exit":{"Code":1}}
{"Session":"now","Stre
{"Session":"now","Stream":1,"Data":"b3V0"}
{"Session":"now","Stream":2,"Data":"ZXJy"}
`+tt.text+"\n"), "now", cmd)
			var exit, want *ExitError
			switch {
			case errors.As(tt.want, &want):
				if !errors.As(err, &exit) || *exit != *want {
					t.Errorf("error %v, want %v", err, want)
				}
			case !errors.Is(err, tt.want):
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if stdout.String() != "out" || stderr.String() != "err" {
				t.Errorf("output %q and %q", stdout.String(), stderr.String())
			}
		})
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("{\"Session\":\"a\",\"Data\":\"YQ==\"}\nrest\n{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l := newLines(bytes.NewReader(text))
		for range bytes.Count(text, []byte("\n")) + 1 {
			if _, err := l.next(); err != nil {
				return
			}
		}
		t.Error("more messages than lines")
	})
}
