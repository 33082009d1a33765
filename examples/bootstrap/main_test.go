package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/archboot/archtest/alpm"
	"github.com/prologin/rig/stage/cli"
)

// TestMain lets the test binary be the program, so that it can be traced and killed.
func TestMain(m *testing.M) {
	if os.Getenv("BE_BOOTSTRAP") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const secret = "correct-horse-battery"

// fixture starts a mirror and returns a command line that makes a root from it, or
// from another server.
func fixture(t *testing.T, server string) (args []string, root string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making roots needs root privileges")
	}
	base := alpm.Package{Name: "base", Version: "1-1", Files: []alpm.File{
		{Path: "usr/lib/systemd/system/sshd.service", Data: []byte("[Install]\nWantedBy=multi-user.target\n"), Mode: 0o644},
		{Path: "etc/shadow", Data: []byte("root:!:1::::::\n"), Mode: 0o600},
	}}
	m := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic, Packages: []alpm.Package{base}})
	dir := t.TempDir()
	root = filepath.Join(dir, "root")
	password := filepath.Join(dir, "password")
	if err := errors.Join(os.Mkdir(root, 0o755), os.WriteFile(password, []byte(secret+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if server == "" {
		server = m.Server()
	}
	return []string{"-mirror", server, "-repo", m.Repositories()[0], "-key", m.PublicKeyFile(), "-packages", "base",
		"-services", "sshd.service", "-locale", "C.UTF-8", "-timezone", "UTC", root, "gw", password}, root
}

func program(t *testing.T, name string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "BE_BOOTSTRAP=1")
	var out bytes.Buffer
	cmd.Stderr, cmd.Stdout = &out, &out
	return cmd, &out
}

// TestPasswordIsNowhere traces every program that is started, with all its
// arguments and its whole environment.
func TestPasswordIsNowhere(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is missing: nothing to watch with")
	}
	args, root := fixture(t, "")
	trace := filepath.Join(t.TempDir(), "trace")
	args = append([]string{"-f", "-v", "-s", "65536", "-e", "trace=execve,execveat", "-o", trace, os.Args[0]}, args...)
	cmd, out := program(t, strace, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(`"pacman", "--config"`)) {
		t.Errorf("pacman is not in the trace: is anything?\n%s", data)
	}
	if bytes.Contains(data, []byte(secret)) {
		t.Error("a program was started with the password")
	}
	if strings.Contains(out.String(), secret) {
		t.Error("the password was printed")
	}
	shadow, err := os.ReadFile(filepath.Join(root, "etc/shadow"))
	if err != nil || !bytes.HasPrefix(shadow, []byte("root:$6$")) || bytes.Contains(shadow, []byte(secret)) {
		t.Errorf("shadow: %q, %v", shadow, err)
	}
}

// TestInterrupted sends the program signals in the middle of its work. In every
// case nothing stays mounted or running.
func TestInterrupted(t *testing.T) {
	for _, test := range []struct {
		signal syscall.Signal
		left   bool // the root keeps the remains until the next run
	}{{syscall.SIGINT, false}, {syscall.SIGTERM, false}, {syscall.SIGKILL, true}} {
		t.Run(test.signal.String(), func(t *testing.T) {
			t.Parallel()
			server, reached := silentServer(t)
			args, root := fixture(t, server)
			cmd, out := program(t, os.Args[0], args...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-reached // pacman waits for the answer
			if n := len(inNamespaceOf(root)); n == 0 {
				t.Error("no program seems to be at work in the root")
			}
			if err := cmd.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Errorf("the program says it went well:\n%s", out)
			}
			awaitNobody(t, root)
			entries, err := os.ReadDir(root)
			if err != nil || test.left != (len(entries) > 0) {
				t.Errorf("the root holds %v, %v", entries, err)
			}
			good, _ := fixture(t, "")
			copy(good[len(good)-3:], []string{root})
			if err := run(t.Context(), good, nil, out); err != nil {
				t.Errorf("the next run: %v\n%s", err, out)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(context.Background(), []string{"-h"}, nil, &out); err != nil {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{"ROOT", "HOSTNAME", "PASSWORD_FILE", "-tarball", "Ctrl-C", "systemd-nspawn"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the help says nothing about %s", want)
		}
	}
	for args, says := range map[string]string{
		"": "got 0 arguments", "root gw": "got 2 arguments", "-nosuch": "-nosuch", "/nonexistent gw /nopassword": "/nopassword",
		"-key /nokey r h p": "/nokey", "-authorized-keys /nokey r h p": "/nokey", "-file x r h p": "PATH=FILE", "-file /x=/nofile r h p": "/nofile",
		"-dns x r h p": "-dns", "-address 10.0.0.1 r h p": "-address", "-gateway x r h p": "-gateway", "-packages a,,b r h p": "-packages",
		"-mirror m -date today r h p": `"today"`, "-date 2018-05-01 r h p": "-mirror", "-repo core r h p": "-mirror", "-siglevel Never r h p": "-mirror",
	} {
		err := run(context.Background(), strings.Fields(args), nil, &out)
		if cli.Status(err) != cli.Misused || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want to be told of %s", args, err, says)
		}
	}
}

// TestWithoutPacman runs the program where neither pacman nor gpg is to be found.
func TestWithoutPacman(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making roots needs root privileges")
	}
	m := archtest.NewMirror(t, archtest.Options{AddOns: []string{"bind", "nginx"}, CacheDir: os.Getenv("RIG_CACHE")})
	dir := t.TempDir()
	bin, root, password := filepath.Join(dir, "bin"), filepath.Join(dir, "root"), filepath.Join(dir, "password")
	err := errors.Join(os.Mkdir(bin, 0o755), os.Mkdir(root, 0o755), os.WriteFile(password, nil, 0o600))
	for _, name := range []string{"sh", "mount", "cat"} {
		path, lookErr := exec.LookPath(name)
		err = errors.Join(err, lookErr, os.Symlink(path, filepath.Join(bin, name)))
	}
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-mirror", m.Server(), "-key", m.PublicKeyFile(), "-packages", "base,openssh", root, "gw", password}
	cmd, out := program(t, os.Args[0], args...)
	cmd.Env = []string{"PATH=" + bin, "BE_BOOTSTRAP=1"}
	if err := cmd.Run(); err == nil || !strings.Contains(out.String(), "package pacman-package-manager on Debian") {
		t.Errorf("without a tarball: %v\n%s", err, out)
	}
	args = append([]string{"-tarball", m.BootstrapURL(), "-fingerprint", m.Fingerprint()}, args...)
	cmd, out = program(t, os.Args[0], args...)
	cmd.Env = []string{"PATH=" + bin, "BE_BOOTSTRAP=1"}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"because this host has no pacman", "the password is empty"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not said:\n%s", want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "usr/bin/sshd")); err != nil {
		t.Error(err)
	}
}

// TestFlags makes a root with what the document's script does not know, and a second
// machine of it.
func TestFlags(t *testing.T) {
	t.Parallel()
	args, root := fixture(t, "")
	dir := t.TempDir()
	keys, motd := filepath.Join(dir, "keys"), filepath.Join(dir, "motd")
	err := errors.Join(os.WriteFile(keys, []byte("# mine\n\nssh-ed25519 AAAA me\n"), 0o600), os.WriteFile(motd, []byte("welcome"), 0o640))
	if err != nil {
		t.Fatal(err)
	}
	args[1] = strings.TrimSuffix(args[1], "/$repo/os/$arch")
	args = append([]string{"-date", "2018-05-01", "-authorized-keys", keys, "-file", "/etc/motd=" + motd, "-machine-id", "random",
		"-address", "192.168.1.254/23", "-gateway", "192.168.1.1", "-dns", "127.0.0.1,9.9.9.9", "-search", "prolo", "-netns", "/proc/self/ns/net"}, args...)
	var out bytes.Buffer
	if err := run(t.Context(), args, nil, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	web := filepath.Join(dir, "web")
	if err := os.Mkdir(web, 0o755); err != nil {
		t.Fatal(err)
	}
	clone := append([]string{"-base", root, "-packages", "base", "-services", "sshd.service", "-locale", "C.UTF-8", "-timezone", "UTC"}, web, "web", args[len(args)-1])
	if err := run(t.Context(), clone, nil, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for name, want := range map[string]string{
		"etc/motd": "welcome", "root/.ssh/authorized_keys": "ssh-ed25519 AAAA me\n",
		"etc/resolv.conf":                      "nameserver 127.0.0.1\nnameserver 9.9.9.9\nsearch prolo\n",
		"etc/systemd/network/50-wired.network": "Address=192.168.1.254/23\nGateway=192.168.1.1\n",
	} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || !strings.HasSuffix(string(data), want) {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	for dir, want := range map[string]string{root: "gw\n", web: "web\n"} {
		if name, err := os.ReadFile(filepath.Join(dir, "etc/hostname")); err != nil || string(name) != want {
			t.Errorf("%s: %q, %v", dir, name, err)
		}
	}
}

// TestPasswordFiles gives the program what people give by mistake.
func TestPasswordFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		data []byte
		mode os.FileMode
		says string
		ok   bool
	}{
		"good":                {[]byte("secret\n"), 0o600, "", true},
		"without a line end":  {[]byte("secret"), 0o600, "", true},
		"read by everybody":   {[]byte("secret\n"), 0o644, "may be read by everybody", true},
		"empty":               {nil, 0o600, "the password is empty", true},
		"of Windows":          {[]byte("secret\r\n"), 0o600, "carriage return", false},
		"binary":              {[]byte("se\x00cret\n"), 0o600, "NUL", false},
		"several lines":       {[]byte("one\ntwo\n"), 0o600, "line break", false},
		"the wrong file":      {bytes.Repeat([]byte("x"), 100<<20), 0o600, "more than 1024 bytes", false},
		"somebody else's":     {[]byte("secret\n"), 0, "", true}, // root reads everything
		"no file, but a link": {nil, os.ModeSymlink, "no such file", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args, root := fixture(t, "")
			file := args[len(args)-1]
			err := os.WriteFile(file, test.data, 0o600)
			if test.mode == os.ModeSymlink {
				err = errors.Join(os.Remove(file), os.Symlink("/nonexistent", file))
			} else if err == nil {
				err = os.Chmod(file, test.mode)
			}
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err = run(t.Context(), args, nil, &out)
			if (err == nil) != test.ok {
				t.Fatalf("%v\n%s", err, &out)
			}
			said := out.String()
			if err != nil {
				said += err.Error()
			}
			if !strings.Contains(said, test.says) || strings.Contains(said, "secret") {
				t.Errorf("said: %s", said)
			}
			shadow, _ := os.ReadFile(filepath.Join(root, "etc/shadow"))
			if set := bytes.HasPrefix(shadow, []byte("root:$6$")); set != (test.ok && test.data != nil) {
				t.Errorf("shadow: %q", shadow)
			}
		})
	}
}
