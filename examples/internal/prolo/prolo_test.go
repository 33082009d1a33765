package prolo

import (
	"slices"
	"strings"
	"testing"
)

// TestGenerations: only the Python environment has moved, the applications have not. The
// installer runs in the environment as if somebody had activated it.
func TestGenerations(t *testing.T) {
	t.Parallel()
	for generation, venv := range map[string]string{"2018": "/var/prologin/venv", "2019": "/opt/prologin/venv"} {
		p := Payload{Generation: generation}
		if got, want := strings.Join(p.manageArgs("mdb", "migrate"), " "), venv+"/bin/python /var/prologin/mdb/manage.py migrate"; got != want {
			t.Errorf("%s: %s, want %s", generation, got, want)
		}
		install := p.install("libprologin")
		if got, want := install.String(), venv+"/bin/python install.py libprologin"; got != want {
			t.Errorf("%s: %s, want %s", generation, got, want)
		}
		if !slices.Contains(install.Env, "VIRTUAL_ENV="+venv) {
			t.Errorf("%s: no VIRTUAL_ENV in %q", generation, install.Env)
		}
		if !slices.ContainsFunc(install.Env, func(v string) bool { return strings.HasPrefix(v, "PATH="+venv+"/bin:") }) {
			t.Errorf("%s: its programs are not the first in %q", generation, install.Env)
		}
		want := ". " + venv + "/bin/activate && cd /root/sadm && " + venv + "/bin/python install.py libprologin"
		if got := install.Manual(MachineGW); len(got) != 1 || got[0].Text != want {
			t.Errorf("%s: by hand %v, want %q", generation, got, want)
		}
	}
}
