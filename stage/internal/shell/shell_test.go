package shell_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/prologin/rig/stage/internal/shell"
)

func TestJoin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"echo", "-n", "a=b", "/x_y.z"}, "echo -n a=b /x_y.z"},
		{[]string{"sh", "-c", "! touch /x 2>&1"}, "sh -c '! touch /x 2>&1'"},
		{[]string{"echo", "", "it's", "~", "*"}, `echo '' 'it'\''s' '~' '*'`},
	} {
		if got := shell.Join(test.args...); got != test.want {
			t.Errorf("%q: %s, want %s", test.args, got, test.want)
		}
	}
}

// FuzzQuote asks a shell.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", "it's", "$HOME `ls` \\", "a\nb", "-n", "!x", "é\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "\x00") {
			t.Skip("no argument has that")
		}
		out, err := exec.Command("sh", "-c", "printf %s "+shell.Quote(s)).Output()
		if err != nil || string(out) != s && s != "" {
			t.Errorf("%q became %q: %v", s, out, err)
		}
	})
}
