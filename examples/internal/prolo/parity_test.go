package prolo

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/prologin/rig/internal/golden"
	"github.com/prologin/rig/stage"
)

// document has the rows of the document's tables, in their order: the stages of each
// machine and those parts of its creation that are stages here.
var document = []struct {
	machine, walk string
	stages        []string
}{
	{MachineGW, "examples/gw/testdata/walk/walk.txt", strings.Fields(`
		container_gw_network copy_sadm setup_sadm setup_gw setup_libprologin setup_network
		setup_postgresql setup_nginx setup_mdb setup_mdbsync setup_mdbdns setup_mdbdhcp
		tftpd ipxe netboot udb add_users_to_udb create_root_ssh_key add_ssh_key_to_udb
		udbsync udbsync_clients presencesync presencesync_sso firewall
		presencesync_firewall hfsdb last`)},
	{MachineRHFS, "examples/lab/testdata/walk/lab.txt", strings.Fields(`
		add_to_mdb copy_sadm allow_root_ssh setup_sadm setup_libprologin setup_network
		setup_rfs setup_rfs_nfs_archlinux setup_rfs_nfs_sadm install_rfs
		install_rfs_nfs_packages_base install_hfs commit_rfs_staging last`)},
	{MachineWeb, "examples/lab/testdata/walk/lab.txt", strings.Fields(`
		add_to_mdb allow_root_ssh copy_sadm setup_sadm setup_web setup_libprologin
		setup_udbsync_rootssh setup_network setup_nginx setup_postgresql setup_concours
		setup_homepage setup_masternode`)},
	{MachinePas, "examples/lab/testdata/walk/lab.txt", strings.Fields(`
		add_to_mdb test_local_network user_login test_internet user_logout`)},
}

const (
	top   = "../../.."
	begin = "<!-- stages: written by go test ./examples/internal/prolo -update -->\n"
	end   = "<!-- end of stages -->\n"
)

// TestParity compares the stage lists with the rows of the document, and the table
// in the guide with the stage lists.
func TestParity(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	for _, d := range document {
		fmt.Fprintf(&table, "### %s\n\n| stage | code | checks |\n|---|---|---|\n", d.machine)
		list := stagesOf(t, d.machine)
		names := make([]string, len(list))
		for i, s := range list {
			names[i] = s.Name
			note := ""
			if !slices.Contains(d.stages, s.Name) {
				note = " (beyond the document)"
			}
			fmt.Fprintf(&table, "| %s%s | %s | %s |\n", s.Name, note, source(t, d.machine, s.Name), checks(s))
		}
		table.WriteString("\n")
		theirs := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(d.stages, name) })
		if diff := cmp.Diff(d.stages, theirs); diff != "" {
			t.Errorf("%s: the stages are not those of the document (-document +list):\n%s", d.machine, diff)
		}
		walked(t, d.walk, d.machine)
	}
	comparePage(t, table.String())
}

func stagesOf(t *testing.T, name string) []stage.Stage {
	t.Helper()
	p := Payload{Dir: "/var/lib/rig/sadm", Generation: "2019", Internet: "http://10.0.0.1:8730/core/os/x86_64/core.db"}
	for _, m := range machines(p) {
		if m.Name == name {
			return m.Stages
		}
	}
	t.Fatalf("no machine %s", name)
	return nil
}

// checks says what must hold after a stage.
func checks(s stage.Stage) string {
	if s.Skip != "" {
		return "skipped: " + s.Skip
	}
	var texts []string
	for _, c := range s.Checks {
		texts = append(texts, strings.ReplaceAll(fmt.Sprint(c), "|", `\|`))
	}
	return strings.Join(texts, "; ")
}

// source links to the line that names a stage: in the machine's own file, or in one
// that several share.
func source(t *testing.T, machine, name string) string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	own := hostname(machine)
	slices.SortStableFunc(files, func(a, b string) int {
		return strings.Compare(fmt.Sprint(!strings.HasPrefix(own, a[:2])), fmt.Sprint(!strings.HasPrefix(own, b[:2])))
	})
	named := regexp.MustCompile(`Name:\s+"` + name + `"`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if named.MatchString(line) {
				return fmt.Sprintf("[%s:%d](../examples/internal/prolo/%s#L%d)", file, i+1, file, i+1)
			}
		}
	}
	t.Errorf("%s/%s: no line of code names it", machine, name)
	return ""
}

// walked fails unless the script, which CI runs, sets the machine up.
func walked(t *testing.T, script, machine string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, script))
	if err != nil {
		t.Error(err)
	} else if !strings.Contains(string(text), machine) {
		t.Errorf("%s does not mention %s", script, machine)
	}
}

func comparePage(t *testing.T, table string) {
	t.Helper()
	path := filepath.Join(top, "doc", "parity.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, found2 := strings.Cut(rest, end)
	if !found || !found2 {
		t.Fatalf("%s has no place for the table", path)
	}
	golden.Equal(t, path, before+begin+table+end+after)
}

// hosts are the rows of the document's tables that are no stages, by a word of each that the
// page has to have in a row of its own.
var hosts = []string{
	"`.network` file for vz-prolo", "kept away", "catch-all", "load nbd", "shared base", "refused", "pacstrap", "vim openssh",
	"time zone, locale", "machine-id different", "poweroff", "made from the base", "host name written", "`.nspawn` settings",
	"a command can be run", "clean-up",
}

// TestHostRows: each of these rows names code that is there and tests, or walks, that are.
func TestHostRows(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(top, "doc", "parity.md"))
	if err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(string(page), "## Stages")
	known := tests(t)
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 || strings.HasPrefix(cells[0], "-") || cells[0] == " row " {
			continue
		}
		if rows >= len(hosts) || !strings.Contains(cells[0], hosts[rows]) {
			t.Fatalf("row %d is%s, which is none of the document's there", rows+1, cells[0])
		}
		rows++
		if strings.TrimSpace(cells[1]) == "" {
			t.Errorf("no code for%s", cells[0])
		}
		for watcher := range strings.SplitSeq(cells[2], ",") {
			if !known[strings.TrimSpace(watcher)] {
				t.Errorf("%s: there is no test or walk%s", cells[0], watcher)
			}
		}
	}
	if rows != len(hosts) {
		t.Errorf("the page has no row of %q", hosts[rows:])
	}
}

// tests are the names of all tests of the module and of the examples' walks.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if filepath.Base(filepath.Dir(path)) == "walk" {
			names[d.Name()] = true
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, found := range declared.FindAllStringSubmatch(string(text), -1) {
			names[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
