package testhost

import (
	"encoding/json"
	"os"

	"github.com/prologin/rig/internal/proc"
)

// record is what a process that comes later has to know of the running host: its
// PID 1, as seen from here; QEMU's if it is a virtual one. The start time tells it from a process that was
// given the same PID since.
type record struct {
	PID     int
	Started string
}

// record takes down which host runs.
func (h *Host) record(leader int) error {
	started, err := proc.StartTime(leader)
	if err != nil {
		return err
	}
	h.leader = record{leader, started}
	text, err := json.Marshal(h.leader)
	if err != nil {
		return err
	}
	return os.WriteFile(h.path("host.json"), text, 0o644)
}

// join makes h the host that runs, or returns why there is none.
func (h *Host) join() error {
	text, err := os.ReadFile(h.path("host.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &h.leader); err != nil {
		return err
	}
	if h.cfg.VM {
		return h.alive()
	}
	return h.inside(func() error { return nil })
}

// alive returns ErrGone if the host that h stands for has ended.
func (h *Host) alive() error {
	started, err := proc.StartTime(h.leader.PID)
	if err != nil || started != h.leader.Started {
		return ErrGone
	}
	return nil
}
