package nspawn

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/prologin/rig/internal/golden"
)

// expressible leaves out what a .nspawn file has no setting for.
func expressible(c Config) Config {
	c.Name, c.Root, c.Credentials, c.Devices = "", "", nil, nil
	c.Network.MAC, c.KernelVariables, c.Reboot, c.Stop, c.Console = nil, "", "", StopTimeouts{}, ""
	c.Binds = slices.Clone(c.Binds)
	for i := range c.Binds {
		c.Binds[i].Optional = false
	}
	c.Limits = Limits{OpenFiles: c.Limits.OpenFiles}
	return c
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, config := range samples {
		text, err := config.Settings()
		if (err != nil) != !cmp.Equal(expressible(config), func() Config { c := config; c.Name, c.Root = "", ""; return c }()) {
			t.Errorf("%s: error %v", name, err)
		}
		if err != nil && (!errors.Is(err, ErrNotSupported) || !errors.Is(err, ErrInvalid)) {
			t.Errorf("%s: error %v", name, err)
		}
		golden.Equal(t, filepath.Join("testdata", name+".nspawn"), string(text))
		parsed, err := ParseSettings(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(expressible(config), parsed); diff != "" {
			t.Errorf("%s does not come back (-sent +read):\n%s", name, diff)
		}
	}
}

func TestSettingsRefuse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"[Exec]\nBoot=perhaps\n", "[Exec]\nNonsense=1\n", "[Nowhere]\nBoot=yes\n", "Boot=yes\n", "[Exec]\nword\n",
		"[Network]\nPort=x\n", "[Network]\nPort=tcp:80:99999\n", "[Exec]\nParameters=\"open\n", "[Files]\nBind=/a:/b:strange\n",
	} {
		if _, err := ParseSettings([]byte(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSettingsCannotBeInjected(t *testing.T) {
	t.Parallel()
	const evil = "x\nBoot=no\n[Network]\nHost=yes"
	config := Config{
		Hostname: evil, MachineID: evil, KernelCommandLine: []string{evil}, Environment: []string{"A=" + evil},
		Binds: []Bind{{Source: "/" + evil}}, Network: Network{Bridge: evil}, Inaccessible: []string{evil},
	}
	text, err := config.Settings()
	if err == nil || strings.Contains(string(text), "Boot=no") {
		t.Errorf("error %v, file:\n%s", err, text)
	}
}

// FuzzSettings wants that whatever is read and valid is written and read again
// as the same.
func FuzzSettings(f *testing.F) {
	for _, config := range samples {
		text, _ := config.Settings()
		f.Add(text)
	}
	f.Add([]byte("[Exec]\nBoot=yes\nParameters='a b' \"c\" d\\\n e\n[Files]\nBind=/a\\:b:/c:norbind,idmap\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		config, _ := ParseSettings(data)
		config.Name, config.Root = "fuzz", "/root"
		if config.Validate() != nil {
			return
		}
		text, err := config.Settings()
		if err != nil {
			return // a word with both kinds of quotes
		}
		again, err := ParseSettings(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		again.Name, again.Root = "fuzz", "/root"
		if diff := cmp.Diff(config.CommandLine(), again.CommandLine()); diff != "" {
			t.Fatalf("changed on its way (-first +second):\n%s\n%s", diff, text)
		}
	})
}
