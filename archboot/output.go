package archboot

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// This file is the one place where pacman's words are understood. They are those
// of LC_ALL=C and of pacman 6.0 to 7.1, --noconfirm --noprogressbar.

var (
	planPattern     = regexp.MustCompile(`^Packages? \((\d+)\)`)
	sizePattern     = regexp.MustCompile(`^Total Download Size: +([0-9.]+) (B|KiB|MiB|GiB)$`)
	downloadPattern = regexp.MustCompile(`^ (\S+) downloading\.\.\.$`)
	installPattern  = regexp.MustCompile(`^(?:re)?(?:installing|upgrading|downgrading) (\S+?)(?: \(.*\))?\.\.\.$`)
	targetPattern   = regexp.MustCompile(`^error: (?:target|database|package) not found: (.+?)$|^error: target '(.+)' was not found$`)
)

// A transcript follows what pacman prints: it turns lines into events and, when
// pacman has failed, says why.
type transcript struct {
	emit      func(Event)
	plan      Event
	planned   bool
	downloads int
	installs  int
	faults    []string // complaints, in the order they came
}

// line takes one line of output.
func (t *transcript) line(s string) {
	switch {
	case strings.HasPrefix(s, "error: "), strings.Contains(s, "] error: "), strings.HasPrefix(s, "warning: "),
		strings.HasPrefix(s, ":: File ") && strings.Contains(s, " is corrupted ("):
		t.fault(s)
	case planPattern.MatchString(s):
		t.plan = Event{Kind: EventPlan}
		t.plan.Total, _ = strconv.Atoi(planPattern.FindStringSubmatch(s)[1])
	case sizePattern.MatchString(s):
		m := sizePattern.FindStringSubmatch(s)
		t.plan.Bytes = parseSize(m[1], m[2])
	case strings.HasPrefix(s, ":: Proceed with ") && !t.planned:
		t.planned = true // what is downloaded first is installed next
		t.emit(t.plan)
	case downloadPattern.MatchString(s):
		e := Event{Kind: EventDownload, Text: downloadPattern.FindStringSubmatch(s)[1]}
		if t.plan.Total > 0 { // a package, not a database
			t.downloads++
			e.Done, e.Total = t.downloads, t.plan.Total
		}
		t.emit(e)
	case installPattern.MatchString(s):
		t.installs++
		t.emit(Event{Kind: EventInstall, Text: installPattern.FindStringSubmatch(s)[1], Done: t.installs, Total: t.plan.Total})
	}
}

// fault remembers a complaint and passes it on as a warning. pacman may have
// printed a question on the same line before it.
func (t *transcript) fault(s string) {
	if i := strings.Index(s, "] error: "); i >= 0 {
		s = s[i+2:]
	}
	if strings.Contains(s, "Public keyring not found") {
		return // it looks for another file name than GnuPG does
	}
	if slices.Contains(t.faults, s) {
		return // pacman says it again when it installs what it has fetched
	}
	t.faults = append(t.faults, s)
	_, text, _ := strings.Cut(s, ": ")
	t.emit(Event{Kind: EventWarning, Text: text})
}

func parseSize(number, unit string) int64 {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0
	}
	shift := map[string]int{"B": 0, "KiB": 10, "MiB": 20, "GiB": 30}[unit]
	return int64(f * float64(int64(1)<<shift))
}

// causes says which complaint means what. Earlier ones outweigh later ones: a
// mirror that lacks a file is no longer of interest when another delivered it
// with a bad signature.
var causes = []struct {
	is      error
	pattern *regexp.Regexp
}{
	{ErrNoSpace, regexp.MustCompile(`not enough free disk space|too full:|No space left on device`)},
	{ErrBusy, regexp.MustCompile(`unable to lock database`)},
	{ErrSignature, regexp.MustCompile(`PGP signature|signature from "|missing required signature|key "[^"]*" is (unknown|disabled)|required key missing|looked up remotely|failed retrieving file '[^']*\.sig' .*404`)},
	{ErrCorrupt, regexp.MustCompile(`invalid or corrupted|could not read db|could not open database|Unrecognized archive format|missing package metadata|bytes remaining to read|end of response with \d+ bytes missing|Maximum file size exceeded|download size exceeded|is not valid`)},
	{ErrUnknownPackage, regexp.MustCompile(`not found: |was not found|unable to satisfy dependency|could not satisfy dependencies`)},
	{ErrConflict, regexp.MustCompile(`conflicting (files|dependencies)|are in conflict|exists in (filesystem|both)`)},
	{ErrMirror, regexp.MustCompile(`failed retrieving file|failed to retrieve|download library error|failed to synchronize|too many errors from|[Ii]nvalid url`)},
}

// cause turns the error of a failed pacman into one that says why.
func (t *transcript) cause(err error) error {
	var failed *Error
	if !errors.As(err, &failed) {
		return err
	}
	for _, c := range causes {
		var said []string
		for _, s := range t.faults {
			if c.pattern.MatchString(s) {
				said = append(said, detail(s))
			}
		}
		if len(said) > 0 {
			return &Error{Op: failed.Op, Root: failed.Root, Err: fmt.Errorf("%w: %s (%w)", c.is, strings.Join(unique(said), "; "), failed.Err), Output: failed.Output}
		}
	}
	return err
}

// detail shortens a complaint to what is not said by the sentinel already.
func detail(s string) string {
	if m := targetPattern.FindStringSubmatch(s); m != nil {
		return m[1] + m[2]
	}
	_, text, _ := strings.Cut(s, ": ")
	return text
}

func unique(list []string) []string {
	var out []string
	seen := make(map[string]bool)
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
