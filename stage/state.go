package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// The state directory of a lab:
//
//	lock               held by the program that uses the lab, and who that is
//	machines/NAME.json what is known of a machine's tree
//	recipes/KEY.json   what went into a stage, to explain why it runs again
//	ports/KEY          what the machine listened at when a stage was complete
//	checkpoints/…      which snapshots make up a checkpoint, by name
//	logs/…             whole output of stages, by run
//	hashes             hashes of input files
//	key                of the HMACs that stand for secrets
//
// Losing it costs time, never correctness: a tree of unknown state is restored.
type stateDir string

func (d stateDir) path(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

const stateVersion = 1

// machineState is what is known of one machine's tree. It is written before the tree
// changes and after it has, so that a program killed in between leaves a record of
// either a known tree or an unknown one, never a wrong one.
type machineState struct {
	Version int

	// Clean says that the tree is that of the stage with key Tree, with nothing but
	// that machine's normal life since.
	Clean bool
	Tree  string

	// Up says that the machine was started from that tree and not stopped since. If
	// it does not run then it did not end well, and the tree is not clean.
	Up bool

	// Binds is what the machine was last started with.
	Binds []Bind `json:",omitempty"`

	// Base is the Setup's of the last run, for whoever previews the next without it.
	Base string `json:",omitempty"`

	// Keys has the key of each stage when it was last completed.
	Keys map[string]string

	// Stale names snapshots that a run was told to replace. They are no longer
	// taken for the cache, also if that run did not get there.
	Stale []string

	file string
	mu   *sync.Mutex
}

func (d stateDir) loadMachine(name string) (*machineState, error) {
	m := &machineState{file: d.path("machines", name+".json"), mu: new(sync.Mutex)}
	data, err := os.ReadFile(m.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if json.Unmarshal(data, m) != nil {
		*m = machineState{file: m.file, mu: m.mu} // a damaged file is like a lost one
	}
	if m.Version > stateVersion {
		return nil, fmt.Errorf("%s: %w: version %d is newer than this program's", m.file, ErrNotSupported, m.Version)
	}
	if m.Keys == nil {
		m.Keys = map[string]string{}
	}
	return m, nil
}

// update changes the state and writes it before it returns.
func (m *machineState) update(change func(*machineState)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
	m.Version = stateVersion
	data, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	err = writeFile(m.file, append(data, '\n'), 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(m.file), 0o755); err != nil {
			return err
		}
		err = writeFile(m.file, append(data, '\n'), 0o644)
	}
	return err
}

func (m *machineState) stale(name string) bool { return slices.Contains(m.Stale, name) }

func (d stateDir) saveRecipe(key string, r *Recipe) error {
	if err := os.MkdirAll(d.path("recipes"), 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return writeFile(d.path("recipes", key+".json"), append(data, '\n'), 0o600)
}

// savePorts writes one port a line.
func (d stateDir) savePorts(key string, ports []string) error {
	if err := os.MkdirAll(d.path("ports"), 0o755); err != nil {
		return err
	}
	// Not flushed: should a power cut spoil it, a difference lacks its ports.
	return replaceFile(d.path("ports", key), []byte(strings.Join(ports, "\n")), 0o644, func(*os.File) error { return nil })
}

// loadPorts reports whether the ports are known.
func (d stateDir) loadPorts(key string) (ports []string, known bool) {
	data, err := os.ReadFile(d.path("ports", key))
	for line := range strings.Lines(string(data)) {
		ports = append(ports, strings.TrimSpace(line))
	}
	return ports, err == nil
}

// loadRecipe returns nil if the recipe is not known any more.
func (d stateDir) loadRecipe(key string) *Recipe {
	data, err := os.ReadFile(d.path("recipes", key+".json"))
	if err != nil {
		return nil
	}
	r := new(Recipe)
	if json.Unmarshal(data, r) != nil {
		return nil
	}
	return r
}
