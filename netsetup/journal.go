package netsetup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// journal is what was made for one network, written down before it is made and
// crossed out after it is unmade, one line of JSON each. A program that is
// killed leaves at most one line too many, for something that is not there.
//
// The file is locked as long as a program lives that applied the network, and
// that is how Sweep tells the dead from the living.
type journal struct {
	path  string
	file  *os.File
	items []*item          // in the order in which they were made
	names map[string]*item // those that are there
	whole bool             // the last Apply came to its end
	keep  bool             // Network.Keep of that Apply
	rules uint32           // generation in which the rules are as recorded; 0 is not known
}

// item is an object, or nil in the place of one that is no longer there.
type item struct{ object Object }

// entry is a line of a journal. One field is set.
type entry struct {
	Boot   string  `json:"boot,omitempty"`   // first line: what is written is true in this boot
	Add    *packed `json:"add,omitempty"`    // about to be made
	Delete string  `json:"delete,omitempty"` // no longer there
	State  *state  `json:"state,omitempty"`
}

type state struct {
	Whole bool `json:"whole"`
	Keep  bool `json:"keep"`

	Rules uint32 `json:"rules,omitempty"`
}

// journalSuffix ends the names of journals; a bridge's name comes before it.
const journalSuffix = ".journal"

// openJournal opens a network's journal to write in it, and makes an empty one
// if create is set. The caller holds the directory's lock.
func openJournal(path string, create bool) (*journal, error) {
	flag := os.O_RDWR | os.O_APPEND
	if create {
		flag |= os.O_CREATE
	}
	file, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, file: file}
	if err := j.reopen(); err != nil {
		file.Close()
		return nil, err
	}
	return j, nil
}

// readJournal reads a journal without touching it. Without the directory's lock
// it may be out of date by the time it is read.
func readJournal(path string) (*journal, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path}
	_, err = j.read(data)
	return j, err
}

// reopen brings j up to what the file says, for others who share the network may
// have written to it, and mends what a dying writer left.
func (j *journal) reopen() error {
	data, err := io.ReadAll(io.NewSectionReader(j.file, 0, 1<<30))
	if err != nil {
		return err
	}
	end, err := j.read(data)
	if err != nil {
		return err
	}
	// Half a line must not become the head of the next.
	if end < len(data) {
		if err := j.file.Truncate(int64(end)); err != nil {
			return err
		}
	}
	if end > 0 {
		return nil
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	return j.write(entry{Boot: boot})
}

// read takes in the lines of data and returns how many bytes of it are good.
func (j *journal) read(data []byte) (int, error) {
	boot, err := bootID()
	if err != nil {
		return 0, err
	}
	j.items, j.names, j.whole, j.keep, j.rules = nil, make(map[string]*item), false, false, 0
	end := 0
	for line := range bytes.Lines(data) {
		e, err := parseEntry(line)
		switch {
		case errors.Is(err, errCutOff):
			return end, nil
		case err == nil && end == 0 && e.Boot != boot:
			// Of an earlier boot: nothing of what it says is left.
			return 0, nil
		case err == nil:
			err = j.take(e)
		}
		if err != nil {
			return end, fmt.Errorf("%s: %w", j.path, err)
		}
		end += len(line)
	}
	return end, nil
}

var errCutOff = errors.New("line is cut off")

func parseEntry(line []byte) (entry, error) {
	var e entry
	if !bytes.HasSuffix(line, []byte("\n")) {
		return e, errCutOff
	}
	return e, json.Unmarshal(line, &e)
}

// take applies one line to what is known.
func (j *journal) take(e entry) error {
	switch {
	case e.Add != nil:
		o, err := e.Add.unpack()
		if err != nil {
			return err
		}
		j.forget(o.String())
		made := &item{o}
		j.items = append(j.items, made)
		j.names[o.String()] = made
	case e.Delete != "":
		j.forget(e.Delete)
	case e.State != nil:
		j.whole, j.keep, j.rules = e.State.Whole, e.State.Keep, e.State.Rules
	}
	return nil
}

func (j *journal) forget(name string) {
	if gone := j.names[name]; gone != nil {
		gone.object = nil
		delete(j.names, name)
	}
}

// objects returns what is there, in the order in which it was made.
func (j *journal) objects() []Object {
	list := make([]Object, 0, len(j.names))
	for _, i := range j.items {
		if i.object != nil {
			list = append(list, i.object)
		}
	}
	return list
}

// find returns the recorded object of a name, or nil.
func (j *journal) find(name string) Object {
	if i := j.names[name]; i != nil {
		return i.object
	}
	return nil
}

// adding records that o is about to be made.
func (j *journal) adding(o Object) error {
	p, err := pack(o)
	if err != nil {
		return err
	}
	return j.note(entry{Add: p})
}

// deleted records that o is no longer there.
func (j *journal) deleted(o Object) error { return j.note(entry{Delete: o.String()}) }

// settle records whether the network is whole.
func (j *journal) settle(whole, keep bool) error {
	return j.note(entry{State: &state{Whole: whole, Keep: keep}})
}

// settleAt records it together with the generation of the rules.
func (j *journal) settleAt(whole, keep bool, rules uint32) error {
	return j.note(entry{State: &state{Whole: whole, Keep: keep, Rules: rules}})
}

func (j *journal) note(e entry) error {
	if err := j.write(e); err != nil {
		return err
	}
	return j.take(e)
}

// write appends a line in one system call. Nothing is synced: a kill does not
// lose it, and after a power cut there is nothing left to undo. Of a line that there
// is not enough space for nothing stays: the next would be unreadable with it.
func (j *journal) write(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	before, err := j.file.Stat()
	if err != nil {
		return err
	}
	if _, err = j.file.Write(append(line, '\n')); err != nil {
		err = errors.Join(err, j.file.Truncate(before.Size()))
	}
	return err
}

// remove deletes the file. The directory is locked.
func (j *journal) remove() error {
	err := os.Remove(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, unlock(j.file))
}

// bootID changes with every boot.
func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}
