package cli

import (
	"strings"
	"testing"

	"github.com/prologin/rig/stage"
)

func TestComplete(t *testing.T) {
	t.Parallel()
	plan := stage.Plan{Name: "lab", Setups: []stage.Setup{
		{Machine: "gw", Stages: []stage.Stage{{Name: "named"}, {Name: "nginx"}}},
		{Machine: "web", Stages: []stage.Stage{{Name: "site"}}},
	}}
	with := Program{Name: "gw", Machine: "gw", Plan: func() (stage.Plan, error) { return plan, nil }}
	for _, test := range []struct {
		p          Program
		line, want string
	}{
		{with, "gw -from n", "named nginx"},
		{with, "gw -until ", "named nginx web/site"},
		{with, "gw -only w", "web"},
		{with, "gw -on-failure s", "stop shell"},
		{with, "gw -ex", "-explain"},
		{with, "gw word", ""},
		{Program{Name: "clean"}, "clean -only ", ""},
		{Program{Name: "clean"}, "clean -from x", ""},
		{Program{Name: "clean"}, "clean -", "-q -v -h -help"},
	} {
		var out strings.Builder
		test.p.complete(&out, test.line)
		if got := strings.Join(strings.Fields(out.String()), " "); got != test.want {
			t.Errorf("%q: %q, want %q", test.line, got, test.want)
		}
	}
}
