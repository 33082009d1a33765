package prolo

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/stage"
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

// TestAnnounce: gw is told of a machine that its database does not have, and of no other.
func TestAnnounce(t *testing.T) {
	t.Parallel()
	const others = `[{"hostname": "gw", "aliases": "mdb,pas-r11p11"}]`
	for _, test := range []struct {
		name, answer, added string
	}{
		{"no database yet", "", ""},
		{"empty", "[]", "pas-r11p11"},
		{"unknown", others, "pas-r11p11"},
		{"known", `[{"hostname":"pas-r11p11"}]`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var added []string
			exec := func(_ context.Context, c stage.Command) error {
				if i := slices.Index(c.Args, "addmachine"); i >= 0 {
					added = c.Args[i:]
				}
				if c.Stdout == nil {
					return nil
				}
				_, err := io.WriteString(c.Stdout, test.answer)
				return err
			}
			if err := pas.announce(Payload{Generation: "2019"})(t.Context(), exec); err != nil {
				t.Fatal(err)
			}
			want := []string(nil)
			if test.added != "" {
				want = pas.arguments(MAC(MachinePas))
			}
			if !slices.Equal(added, want) {
				t.Errorf("added %q, want %q", added, want)
			}
		})
	}
}

// TestAliases: a machine without names beside its own is its own alias, since
// addmachine cannot do without.
func TestAliases(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		record  record
		aliases string
	}{{pas, "pas-r11p11"}, {rhfs0, "rhfs0,hfs0,rfs0"}} {
		args := test.record.arguments("52:54:00:00:00:01")
		if i := slices.Index(args, "--aliases"); i < 0 || args[i+1] != test.aliases {
			t.Errorf("%q, want --aliases %s", args, test.aliases)
		}
	}
}

// TestPas: a contestant's machine has what its payload wants of it, of either generation.
func TestPas(t *testing.T) {
	t.Parallel()
	for generation, greeter := range map[string]string{"2018": "/var/lib/sddm", "2019": "/var/lib/lightdm"} {
		for _, m := range machines(Payload{Generation: generation}) {
			if m.Name != MachinePas {
				continue
			}
			if !slices.Contains(m.Config.Devices, "-/dev/nbd0") {
				t.Errorf("%s: devices %q, homes come over NBD", generation, m.Config.Devices)
			}
			if !slices.ContainsFunc(m.Config.Tmpfs, func(t nspawn.Tmpfs) bool { return t.Target == greeter }) {
				t.Errorf("%s: no tmpfs on %s: %v", generation, greeter, m.Config.Tmpfs)
			}
		}
	}
}
