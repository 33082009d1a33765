// Package nspawntest holds the conformance tests that machines of package nspawn
// pass however they are started.
package nspawntest

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/nspawn"
)

// Run runs the conformance tests as subtests. The host is the one under test;
// root gives each test a writable root directory that boots a systemd, and is
// not used any more when the test has ended. Machines are named after the
// launcher, so that suites for two launchers may run at once.
//
// The tests need root. Each leaves nothing behind, or fails.
func Run(t *testing.T, host *nspawn.Host, root func(testing.TB) string) {
	s := &suite{host: host, root: root}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"Life", testLife},
		{"StubbornMachine", testStubbornMachine},
		{"StopWithCommand", testStopWithCommand},
		{"StopWithoutPatience", testStopWithoutPatience},
		{"CommandAsPayload", testCommandAsPayload},
		{"CommandObeys", testCommandObeys},
		{"BrokenInit", testBrokenInit},
		{"Forgetful", testForgetful},
		{"SharedRoot", testSharedRoot},
		{"Freeze", testFreeze},
		{"Files", testFiles},
		{"Reboot", testReboot},
		{"Scratch", testScratch},
		{"StartRefuses", testStartRefuses},
		{"StartFailureShowsConsole", testStartFailureShowsConsole},
		{"InitGivesUp", testInitGivesUp},
		{"Command", testCommand},
		{"CommandSurroundings", testCommandSurroundings},
		{"CommandPipes", testCommandPipes},
		{"CancelKillsTree", testCancelKillsTree},
		{"Units", testUnits},
		{"SlowStart", testSlowStart},
		{"Waits", testWaits},
		{"Journal", testJournal},
		{"JournalCutShort", testJournalCutShort},
		{"Escapes", testEscapes},
		{"PlantedFiles", testPlantedFiles},
		{"FS", testFS},
		{"Owners", testOwners},
		{"Copies", testCopies},
		{"FullDisk", testFullDisk},
		{"CommandUnit", testCommandUnit},
		{"UserNamespace", testUserNamespace},
		{"SuppressSync", testSuppressSync},
		{"Limits", testLimits},
		{"Privileges", testPrivileges},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

// suite is what each test is given.
type suite struct {
	host *nspawn.Host
	root func(testing.TB) string
}

// name makes a machine's name that no other suite has.
func (s *suite) name(base string) string { return string(s.host.Launcher()) + "-" + base }

// testContext ends before the test's own deadline does.
func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// start starts a machine that is stopped in the end.
func (s *suite) start(t testing.TB, config nspawn.Config) *nspawn.Machine {
	t.Helper()
	m, err := s.host.Start(testContext(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("console of %s:\n%s", m.Name(), strings.Join(m.Console(40), "\n"))
		}
		if err := m.Stop(testContext(t)); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return m
}

// boot starts a machine on a throw-away root and waits until it is ready.
func (s *suite) boot(t testing.TB, config nspawn.Config) *nspawn.Machine {
	t.Helper()
	if config.Root == "" {
		config.Root = s.root(t)
	}
	config.SuppressSync = true
	m := s.start(t, config)
	if err := m.WaitReady(testContext(t)); err != nil {
		t.Fatal(err)
	}
	return m
}

// writeFile makes a file in a root, and its directory.
func writeFile(t testing.TB, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// symlink makes a link in a root, and its directory.
func symlink(t testing.TB, target, root, name string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// begin starts a command and waits until it has said a word.
func begin(t testing.TB, cmd *nspawn.Cmd, word string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, len(word))
	if _, err := io.ReadFull(out, said); err != nil || string(said) != word {
		t.Fatalf("%s: %q, %v", cmd, said, err)
	}
}

// shell runs a script in the machine and returns what it printed.
func shell(t testing.TB, m *nspawn.Machine, script string) string {
	t.Helper()
	out, err := m.Command(testContext(t), "sh", "-c", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
