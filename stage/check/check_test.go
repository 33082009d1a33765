package check_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/stagetest"
)

// here is a machine whose commands run on this host.
type here struct{}

func (here) Start(context.Context) error           { return nil }
func (here) Stop(context.Context) error            { return nil }
func (here) Running(context.Context) (bool, error) { return true, nil }

func (here) Exec(ctx context.Context, c stage.Command) error {
	if c.Args[0] == "sync" || c.Args[0] == "journalctl" {
		return nil
	}
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd.Run()
}

// once is a check that is looked at once only.
type once struct{ stage.Check }

func (o once) Probe(ctx context.Context, s *stage.Session) error {
	if err := o.Check.Probe(ctx, s); err != nil {
		return fmt.Errorf("%w, as far as a test is concerned: %w", stage.ErrInvalid, err)
	}
	return nil
}

// probe makes a check once and returns how it went.
func probe(t *testing.T, m stage.Machine, c stage.Check) error {
	t.Helper()
	dir := t.TempDir()
	v, err := stagetest.NewVolume(filepath.Join(dir, "volume"), nil)
	if err != nil {
		t.Fatal(err)
	}
	lab, err := stage.Open(
		stage.Plan{Name: "lab", Setups: []stage.Setup{{Machine: "here", Stages: []stage.Stage{{
			Name: "s", Checks: []stage.Check{once{c}},
		}}}}},
		stage.Options{StateDir: filepath.Join(dir, "state"), Targets: map[string]stage.Target{"here": {Machine: m, Volume: v}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = lab.Run(context.Background(), stage.Steering{})
	return err
}

// outcome is a check with what must be seen: "" if it holds.
type outcome struct {
	check stage.Check
	seen  string
}

func try(t *testing.T, outcomes []outcome) {
	for _, o := range outcomes {
		t.Run(fmt.Sprint(o.check), func(t *testing.T) {
			t.Parallel()
			err := probe(t, here{}, o.check)
			switch {
			case o.seen == "" && err != nil:
				t.Error(err)
			case o.seen != "" && !errors.Is(err, stage.ErrCheck):
				t.Errorf("error %v, want one that matches ErrCheck", err)
			case o.seen != "" && !strings.Contains(err.Error(), o.seen):
				t.Errorf("error %q does not say %q", err, o.seen)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("one\ntwo 2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	try(t, []outcome{
		{check.FilePresent{Path: file}, ""},
		{check.FilePresent{Path: file + "x"}, "nothing there"},
		{check.FileContains{Path: file, Text: "two 2"}, ""},
		{check.FileContains{Path: file, Text: "two 3"}, `10 bytes without it: "one\ntwo 2"`},
		{check.FileContains{Path: file, Pattern: `^two \d$`}, ""},
		{check.FileContains{Path: file, Pattern: `^wo`}, "without it"},
		{check.FileContains{Path: file + "x", Text: "a"}, "No such file"},
		{check.Mounted{Path: "/proc", Type: "proc"}, ""},
		{check.Mounted{Path: "/proc/", Type: "proc"}, ""},
		{check.Mounted{Path: "/proc", Type: "nfs"}, "it is a proc"},
		{check.Mounted{Path: file}, "not mounted"},
		{check.Run("true"), ""},
		{check.Run("sh", "-c", "echo broken >&2; exit 3"), "exit status 3: broken"},
		{check.Command{Args: []string{"echo", "abc"}, Output: "b"}, ""},
		{check.Command{Args: []string{"echo", "abc"}, Output: "x"}, `it printed "abc"`},
	})
}

func TestURL(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/missing":
			http.Error(w, "nothing here", http.StatusNotFound)
		case "/unsized": // the answer ends with the connection
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, "HTTP/1.0 200 OK\r\n\r\nuntil the end")
		case "/silent":
			<-r.Context().Done()
		case "/redirect":
			http.Redirect(w, r, "/", http.StatusFound)
		default:
			w.Header().Set("X-SSO-Backend-Status", "working")
			fmt.Fprintf(w, "hello from %s", r.Host)
		}
	}))
	t.Cleanup(server.Close)
	closed := httptest.NewServer(nil)
	closed.Close()
	var outcomes []outcome
	for _, inside := range []bool{false, true} {
		outcomes = append(outcomes, []outcome{
			{check.URL{URL: server.URL, Inside: inside}, ""},
			{check.URL{URL: server.URL, Host: "mdb", Body: "from mdb", Inside: inside}, ""},
			{check.URL{URL: server.URL, Header: "X-SSO-Backend-Status: working", Inside: inside}, ""},
			{check.URL{URL: server.URL, Header: "X-SSO-Backend-Status: broken", Inside: inside}, `is ["working"]`},
			{check.URL{URL: server.URL, Header: "X-None:", Inside: inside}, "no header X-None"},
			{check.URL{URL: server.URL, Body: "bye", Inside: inside}, `without it: "hello from`},
			{check.URL{URL: server.URL + "/missing", Inside: inside}, `404 Not Found: "nothing here"`},
			{check.URL{URL: server.URL + "/missing", Status: 404, Inside: inside}, ""},
			{check.URL{URL: server.URL + "/unsized", Body: "until the end", Inside: inside}, ""},
			{check.URL{URL: server.URL + "/silent", Inside: inside}, "no answer within 3s"},
			{check.URL{URL: server.URL + "/redirect", Status: 302, Inside: inside}, ""},
			{check.URL{URL: closed.URL, Inside: inside}, "connection refused"},
			{check.PortOpen{Address: server.Listener.Addr().String(), Inside: inside}, ""},
			{check.PortOpen{Address: closed.Listener.Addr().String(), Inside: inside}, "connection refused"},
		}...)
	}
	try(t, outcomes)
}

func TestUnits(t *testing.T) {
	t.Parallel()
	v, err := stagetest.NewVolume(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := stagetest.NewMachine(v)
	for _, c := range []stage.Check{check.UnitActive{Name: "nginx.service"}, check.UnitEnabled{Name: "nginx.service"}} {
		err := probe(t, m, c)
		if !errors.Is(err, stage.ErrCheck) || !strings.Contains(err.Error(), "seen instead") {
			t.Errorf("%s: %v", c, err)
		}
	}
	if err := m.Exec(context.Background(), stage.Command{Args: []string{"systemctl", "enable", "--now", "nginx.service"}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []stage.Check{check.UnitActive{Name: "nginx.service"}, check.UnitEnabled{Name: "nginx.service"}} {
		if err := probe(t, m, c); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs the program ip")
	}
	try(t, []outcome{
		{check.HasAddress{Address: netip.MustParsePrefix("127.0.0.1/32")}, ""},
		{check.HasAddress{Address: netip.MustParsePrefix("127.0.0.1/8"), Interface: "lo"}, ""},
		{check.HasAddress{Address: netip.MustParsePrefix("127.0.0.1/16"), Interface: "lo"}, "lo 127.0.0.1/8"},
	})
}

// TestResolvesByTheMachine asks what needs no server.
func TestResolvesByTheMachine(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("getent"); err != nil {
		t.Skip("needs the program getent")
	}
	try(t, []outcome{
		{check.Resolves{Name: "127.0.0.1", Want: "127.0.0.1", Inside: true}, ""},
		{check.Resolves{Name: "127.0.0.1", Type: "AAAA", Inside: true}, "no record AAAA"}, // and not ::ffff:127.0.0.1
	})
}

func TestPing(t *testing.T) {
	t.Parallel()
	if conn, err := net.Dial("ip4:icmp", "127.0.0.1"); err != nil {
		t.Skipf("needs CAP_NET_RAW: %v", err)
	} else {
		conn.Close()
	}
	try(t, []outcome{{check.Ping{Address: netip.MustParseAddr("127.0.0.1")}, ""}})
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		try(t, []outcome{{check.Ping{Address: netip.MustParseAddr("::1")}, ""}})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []interface{ Validate() error }{
		check.UnitActive{}, check.UnitEnabled{Name: "-x"}, check.Command{}, check.Func{Name: "x"},
		check.FilePresent{Path: "x"}, check.FileContains{Path: "/x"}, check.FileContains{Path: "/x", Text: "a", Pattern: "b"},
		check.FileContains{Path: "/x", Pattern: "("}, check.Mounted{Path: "x"}, check.PortOpen{Address: "x"},
		check.HasAddress{}, check.URL{URL: "ftp://x"}, check.URL{URL: "http://x", Header: "x"}, check.URL{URL: "http://x", Header: ": x"}, check.Ping{},
		check.Resolves{}, check.Resolves{Name: "a..b", Server: "x"}, check.Resolves{Name: "a", Type: "X", Server: "x"},
		check.Resolves{Name: "a"}, check.Resolves{Name: "a", Type: "NS", Inside: true},
	} {
		if err := c.Validate(); !errors.Is(err, stage.ErrInvalid) {
			t.Errorf("%T %+v: %v, want ErrInvalid", c, c, err)
		}
	}
}

// TestManualCanBeTyped: what a check would have a person type is one command of the words
// that the check itself uses.
func TestManualCanBeTyped(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		check stage.Check
		want  string
	}{
		{check.Run("sh", "-c", "! touch /x 2>&1"), "sh -c '! touch /x 2>&1'"},
		{check.URL{URL: "http://a/?b=1&c=2", Host: "x y"}, "curl -i -H 'Host: x y' 'http://a/?b=1&c=2'"},
		{check.FileContains{Path: "/a b", Text: "it's"}, `grep -F 'it'\''s' '/a b'`},
		{check.FilePresent{Path: "/a b"}, "ls -d '/a b'"},
		{check.Resolves{Name: "a", Server: "10.0.0.1:5353"}, "dig +short @10.0.0.1 -p 5353 a A"},
		{check.PortOpen{Address: "10.0.0.1:22"}, "bash -c '</dev/tcp/10.0.0.1/22'"},
	} {
		if got := test.check.Manual("gw")[0].Text; got != test.want {
			t.Errorf("%v: %s, want %s", test.check, got, test.want)
		}
	}
}
