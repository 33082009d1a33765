package archboot

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// failures are what pacman printed, each in a real failure: 6.0.2 where not said.
var failures = []struct {
	name, output string
	want         error
	detail       string // in the error's text
}{
	{"refused", `:: Synchronizing package databases...
 core downloading...
error: failed retrieving file 'core.db' from 127.0.0.1:8098 : Failed to connect to 127.0.0.1 port 8098 after 0 ms: Couldn't connect to server
error: failed to synchronize all databases (download library error)`, ErrMirror, "127.0.0.1:8098"},
	{"no such host", `error: failed retrieving file 'core.db' from nosuch.invalid : Could not resolve host: nosuch.invalid
warning: too many errors from nosuch.invalid, skipping for the remainder of this transaction
error: failed to synchronize all databases (invalid url for server)`, ErrMirror, "nosuch.invalid"},
	{"no database", `error: failed retrieving file 'core.db' from 127.0.0.1:8099 : The requested URL returned error: 404
error: failed to synchronize all databases (failed to retrieve some files)`, ErrMirror, "404"},
	{"database not signed", `error: failed retrieving file 'core.db.sig' from 127.0.0.1:8099 : The requested URL returned error: 404
error: failed to synchronize all databases (failed to retrieve some files)`, ErrSignature, "core.db.sig"},
	{"database signed by a stranger", `error: core: key "89B0A19A4575534A141598FC5B93D1213BEC189B" is unknown
:: Import PGP key 89B0A19A4575534A141598FC5B93D1213BEC189B? [Y/n] error: key "89B0A19A4575534A141598FC5B93D1213BEC189B" could not be looked up remotely
error: failed to synchronize all databases (invalid or corrupted database (PGP signature))`, ErrSignature, "89B0A19A4575534A141598FC5B93D1213BEC189B"},
	{"key known but not trusted", `error: core: signature from "Tester <t@example.org>" is unknown trust
error: failed to synchronize all databases (invalid or corrupted database (PGP signature))`, ErrSignature, "Tester"},
	{"database truncated, signature required", `error: core: signature from "Tester <t@example.org>" is invalid
error: failed to synchronize all databases (invalid or corrupted database (PGP signature))`, ErrSignature, "invalid"},
	{"a page instead of a database", `error: could not read db 'core' (Missing type keyword in mtree specification)
error: target not found: a`, ErrCorrupt, "core"},
	{"no package file", ` b-1-1-x86_64 downloading...
error: failed retrieving file 'b-1-1-x86_64.pkg.tar.zst' from 127.0.0.1:8099 : The requested URL returned error: 404
warning: failed to retrieve some files
error: failed to commit transaction (failed to retrieve some files)
Errors occurred, no packages were upgraded.`, ErrMirror, "b-1-1"},
	{"package damaged", `error: b: signature from "Tester <t@example.org>" is invalid
:: File /r/var/cache/pacman/pkg/b-1-1-x86_64.pkg.tar.zst is corrupted (invalid or corrupted package (PGP signature)).
Do you want to delete it? [Y/n] error: failed to commit transaction (invalid or corrupted package)`, ErrSignature, "b: signature"},
	{"package damaged, no signatures", `:: File /r/var/cache/pacman/pkg/b-1-1-x86_64.pkg.tar.zst is corrupted (invalid or corrupted package (checksum)).
Do you want to delete it? [Y/n] error: failed to commit transaction (invalid or corrupted package (checksum))`, ErrCorrupt, "b-1-1-x86_64.pkg.tar.zst is corrupted"},
	{"package longer than the database says", `error: failed retrieving file 'units-2-1-any.pkg.tar.zst' from 127.0.0.1:42769 : Maximum file size exceeded
warning: failed to retrieve some files
error: failed to commit transaction (download library error)`, ErrCorrupt, "units-2-1"},
	{"connection broken off", `error: failed retrieving file 'test.db' from 127.0.0.1:42769 : transfer closed with 264 bytes remaining to read
error: failed to synchronize all databases (download library error)`, ErrCorrupt, "test.db"},
	{"connection broken off, as curl 8 says it", `error: failed retrieving file 'test.db' from 127.0.0.1:38735 : end of response with 336 bytes missing
error: failed to synchronize all databases (download library error)`, ErrCorrupt, "test.db"},
	{"two unknown packages", `error: target not found: x
error: target not found: y`, ErrUnknownPackage, "x; y"},
	{"unknown repository", `error: database not found: nosuch`, ErrUnknownPackage, "nosuch"},
}

func TestCause(t *testing.T) {
	t.Parallel()
	for _, f := range failures {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			tr := &transcript{emit: func(Event) {}}
			for line := range strings.Lines(f.output) {
				tr.line(strings.TrimSuffix(line, "\n"))
			}
			err := tr.cause(&Error{Op: "run pacman", Err: errors.New("exit status 1")})
			if !errors.Is(err, f.want) || !strings.Contains(err.Error(), f.detail) {
				t.Errorf("got %v, want %v about %q", err, f.want, f.detail)
			}
		})
	}
}

func TestTranscriptEvents(t *testing.T) {
	t.Parallel()
	const output = `:: Synchronizing package databases...
 core downloading...
warning: Public keyring not found; have you run 'pacman-key --init'?
resolving dependencies...
Packages (2) b-1-1  a-1-1
Total Download Size:   1.50 MiB
Total Installed Size:  0.00 MiB
:: Proceed with installation? [Y/n]
:: Retrieving packages...
 a-1-1-x86_64 downloading...
 b-1-1-x86_64 downloading...
checking keyring...
:: Processing package changes...
installing b...
warning: b: nothing to worry about
installing a...
`
	want := []Event{
		{Kind: EventDownload, Text: "core"},
		{Kind: EventPlan, Total: 2, Bytes: 3 << 19},
		{Kind: EventDownload, Text: "a-1-1-x86_64", Done: 1, Total: 2},
		{Kind: EventDownload, Text: "b-1-1-x86_64", Done: 2, Total: 2},
		{Kind: EventInstall, Text: "b", Done: 1, Total: 2},
		{Kind: EventWarning, Text: "b: nothing to worry about"},
		{Kind: EventInstall, Text: "a", Done: 2, Total: 2},
	}
	var got []Event
	tr := &transcript{emit: func(e Event) { got = append(got, e) }}
	w := &lineWriter{line: tr.line}
	// Byte by byte: cutting into lines must not depend on how the pipe cuts.
	for i := range len(output) {
		w.Write([]byte{output[i]})
	}
	w.flush()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
