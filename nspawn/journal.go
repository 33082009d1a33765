package nspawn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/prologin/rig/internal/intree"
)

// JournalOptions choose entries of a machine's journal. The zero value is all of
// them, oldest first.
type JournalOptions struct {
	// Unit is a unit's name; empty is all.
	Unit string
	// Priority is the least important syslog level to include, 0 (emerg) to 7
	// (debug), as a name or number; empty is all.
	Priority string
	// AfterCursor is the Cursor of the last entry seen: what follows it is read.
	AfterCursor string
	// Lines is how many of the newest entries to begin with; 0 is no limit.
	Lines int
	// ThisBoot leaves out entries of earlier boots.
	ThisBoot bool
	// Follow goes on with new entries until the context ends or the machine does.
	Follow bool
}

// JournalEntry is one entry of a journal.
type JournalEntry struct {
	Time       time.Time
	Cursor     string // where it is, for AfterCursor
	Unit       string // whose it is, if a unit's
	Identifier string // the program's name
	PID        int    // as the machine counts; 0 if not known
	Priority   int    // 0 (emerg) to 7 (debug)
	Message    string
	Fields     map[string]string // all of them, by their names in the journal
}

// Journal yields entries of the machine's journal: while it runs, all that its
// own journalctl knows; when it has ended, what is kept in /var/log/journal of its
// root, read by the host's journalctl. A machine without that directory keeps
// nothing. An error ends the sequence.
func (m *Machine) Journal(ctx context.Context, options JournalOptions) iter.Seq2[JournalEntry, error] {
	return func(yield func(JournalEntry, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		entries, wait, err := m.openJournal(ctx, options)
		if err != nil {
			yield(JournalEntry{}, m.fail("read the journal of", err))
			return
		}
		decoder := json.NewDecoder(entries)
		for {
			var fields map[string]any
			err := decoder.Decode(&fields)
			if err != nil {
				switch {
				case errors.Is(err, io.EOF):
					err = nil
				case !errors.Is(err, io.ErrUnexpectedEOF): // journalctl ended in the middle of an entry
					cancel() // it may go on writing what nobody reads
				}
				if err = errors.Join(err, wait()); err != nil && !(options.Follow && m.endedWith(ctx, err)) {
					yield(JournalEntry{}, m.fail("read the journal of", err))
				}
				return
			}
			if !yield(newJournalEntry(fields), nil) {
				cancel()
				_ = wait() // it was cut short
				return
			}
		}
	}
}

// endedWith reports whether it was the end of the machine that killed a command,
// which is over a moment before the machine is.
func (m *Machine) endedWith(ctx context.Context, err error) bool {
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Signal() == 0 {
		return false
	}
	b := m.currentBoot()
	if b == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, cleanupPatience)
	defer cancel()
	select {
	case <-b.over:
		return true
	case <-ctx.Done():
		return false
	}
}

// openJournal starts journalctl where the journal is.
func (m *Machine) openJournal(ctx context.Context, options JournalOptions) (entries io.Reader, wait func() error, err error) {
	if _, err := m.leaderNow(); err == nil {
		cmd := m.Command(ctx, "journalctl", options.arguments()...)
		entries, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		return entries, cmd.Wait, err
	}
	dir, err := openTreeDir(m.Root(), "/var/log/journal")
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	options.Follow = false
	// By way of the descriptor: a link in the root cannot lead it elsewhere.
	cmd := exec.CommandContext(ctx, "journalctl", append(options.arguments(), "-D", "/proc/self/fd/3")...)
	cmd.ExtraFiles = []*os.File{dir}
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if errors.Is(err, exec.ErrNotFound) {
		err = &Error{Op: "read the journal of", Machine: m.Name(), Err: err, Hint: "install systemd (Debian, Arch)"}
	}
	return pipe, cmd.Wait, err
}

// openTreeDir opens a directory as a machine with that root would find it.
func openTreeDir(root, name string) (*os.File, error) {
	tree, err := intree.Open(root)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	info, err := tree.Stat(name)
	if err == nil && !info.IsDir() {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, fmt.Errorf("no journal is kept in %s: %w", name, err)
	}
	dir, _, err := tree.Parent(name + "/any")
	return dir, err
}

// arguments are journalctl's.
func (o *JournalOptions) arguments() []string {
	args := []string{"--output=json", "--all", "--no-pager", "--quiet"}
	if o.Unit != "" {
		args = append(args, "--unit="+o.Unit)
	}
	if o.Priority != "" {
		args = append(args, "--priority="+o.Priority)
	}
	if o.AfterCursor != "" {
		args = append(args, "--after-cursor="+o.AfterCursor)
	}
	if o.Lines > 0 {
		args = append(args, "--lines="+strconv.Itoa(o.Lines))
	} else {
		args = append(args, "--lines=all")
	}
	if o.ThisBoot {
		args = append(args, "--boot")
	}
	if o.Follow {
		args = append(args, "--follow")
	}
	return args
}

// newJournalEntry reads what journalctl writes for one entry.
func newJournalEntry(raw map[string]any) JournalEntry {
	fields := make(map[string]string, len(raw))
	for name, value := range raw {
		fields[name] = journalText(value)
	}
	e := JournalEntry{
		Cursor: fields["__CURSOR"], Unit: fields["_SYSTEMD_UNIT"], Identifier: fields["SYSLOG_IDENTIFIER"],
		Message: fields["MESSAGE"], Fields: fields,
	}
	// PID 1 writes about units.
	e.Unit = orDefault(fields["UNIT"], e.Unit)
	e.PID, _ = strconv.Atoi(fields["_PID"])
	e.Priority, _ = strconv.Atoi(orDefault(fields["PRIORITY"], "6"))
	if microseconds, err := strconv.ParseInt(fields["__REALTIME_TIMESTAMP"], 10, 64); err == nil {
		e.Time = time.UnixMicro(microseconds)
	}
	return e
}

// journalText makes text of a field: it is a string, a list of bytes where it is
// no UTF-8, or a list of either where the field occurs several times.
func journalText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		var data []byte
		for _, part := range v {
			number, isByte := part.(float64)
			if !isByte {
				return journalText(part) // of several, the first
			}
			data = append(data, byte(number))
		}
		return string(data)
	}
	return ""
}
