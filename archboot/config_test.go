package archboot

import (
	"errors"
	"strings"
	"testing"
)

func TestValidateReportsAllFaults(t *testing.T) {
	t.Parallel()
	c := Config{
		Repositories: []Repository{
			{Name: "options", Servers: []string{"http://m/"}},
			{Name: "core"},
			{Name: "core", Servers: []string{"gopher://m", "http://m\nServer=http://evil", "file:///../etc"}, SigLevel: "Sometimes"},
		},
		Keys:         [][]byte{[]byte("no key")},
		Packages:     []string{"-U", "../../etc/passwd", "core/../x", "a b", "good", "core/good"},
		Hostname:     "under_score",
		MachineID:    "00000000000000000000000000000000",
		Locale:       "en US",
		Keymap:       "../fr",
		TimeZone:     "../../etc/shadow",
		Password:     strings.NewReader("x"),
		PasswordHash: "plain",
		NTP:          []string{"a b"},
		Services:     []string{"sshd", "x/y.service"},
		Files:        []File{{Path: "etc/x"}, {Path: "/etc/../x"}, {Path: "/x", Mode: 0o4755}},
		Resolver:     Resolver{Search: []string{"prolo"}},
		CacheDir:     "/cache\nRootDir = /",
	}
	err := c.Validate()
	if !errors.Is(err, ErrInvalid) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		`name "options"`, `"core" is there twice`, `"core" has no servers`, `gopher`, `evil`, `file:///../etc`, `Sometimes`,
		`Keys[0]`, `"-U"`, `"../../etc/passwd"`, `"core/../x"`, `"a b"`, `under_score`, `machine id`, `"en US"`, `"../fr"`,
		`"../../etc/shadow"`, `both Password and PasswordHash`, `crypt(5)`, `NTP`, `unit name "sshd"`, `x/y.service`,
		`"etc/x"`, `"/etc/../x"`, `mode`, `search domains need servers`, `CacheDir "/cache\nRootDir`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %s in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "good") {
		t.Errorf("a good package was refused: %v", err)
	}
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	base := Config{Repositories: []Repository{{Name: "core", Servers: []string{"http://a"}}}}
	same := map[string]Config{}
	c := base
	c.Packages, c.Locale = DefaultPackages(), "C.UTF-8"
	same["defaults written out"] = c
	c = base
	c.Password = strings.NewReader("101010")
	same["password"] = c
	c = base
	c.PasswordHash, c.CacheDir, c.Progress = "$6$x$y", "/cache", func(Event) {}
	same["hash, cache, progress"] = c
	for name, c := range same {
		if c.Key() != base.Key() {
			t.Errorf("%s: the key changed", name)
		}
	}
	c = base
	c.Hostname = "gw"
	if c.Key() == base.Key() {
		t.Error("another host name has the same key")
	}
	c = base
	c.Repositories = []Repository{{Name: "core", Servers: []string{"http://b"}}}
	if c.Key() == base.Key() {
		t.Error("another server, which the machine will use, has the same key")
	}
	d := base
	c.MachineRepositories, d.MachineRepositories = base.Repositories, base.Repositories
	if c.Key() != d.Key() {
		t.Error("the host's way to the mirror changed the key, though the root does not depend on it")
	}
	if got := (Config{}).Key(); got != goldenKey {
		t.Errorf("the zero value has the key %s: if that is meant, raise keyVersion too", got)
	}
}

// goldenKey shows that keys are the same in every process and every version.
const goldenKey = "99b9bd03edaa197aaa5b5be39f0ef15e6e265957d620373b24abb3cef8384ab2"

func TestShadowWith(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ old, want string }{
		{"", "root:H:9::::::\n"},
		{"root:!:1:0:99999:7:::\nbin:*:1::::::\n", "root:H:9:0:99999:7:::\nbin:*:1::::::\n"},
		{"bin:*:1::::::\nroot::1::::::", "bin:*:1::::::\nroot:H:9::::::\n"},
		{"bin:*:1::::::", "bin:*:1::::::\nroot:H:9::::::\n"},
		{"rootless:!:1::::::\n", "rootless:!:1::::::\nroot:H:9::::::\n"},
	} {
		if got := shadowWith(test.old, "root", "H", 9); got != test.want {
			t.Errorf("%q: got %q, want %q", test.old, got, test.want)
		}
	}
}
