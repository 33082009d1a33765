package nspawn

import "time"

// EventKind is what happened to a machine.
type EventKind string

// The events, in the order of a life.
const (
	EventStarted  EventKind = "started"  // its first process exists
	EventReady    EventKind = "ready"    // its start-up is complete
	EventStopping EventKind = "stopping" // Stop was called
	EventForced   EventKind = "forced"   // Stop goes a step further; Exit.Forced says which
	EventRebooted EventKind = "rebooted" // it ended in order to start again
	EventExited   EventKind = "exited"   // it has ended, and nothing of it is left
)

// Event is something that happened to a machine.
type Event struct {
	Time    time.Time
	Machine string
	Kind    EventKind
	Exit    ExitStatus // of EventExited, EventRebooted and EventForced
}

// tell passes an event on, and logs it.
func (m *Machine) tell(kind EventKind, exit ExitStatus) {
	h := m.host
	e := Event{Time: time.Now(), Machine: m.Name(), Kind: kind, Exit: exit}
	h.log.Info("machine "+string(kind), "machine", e.Machine, "code", exit.Code, "forced", exit.Forced)
	if h.options.Events == nil {
		return
	}
	h.telling.Lock()
	defer h.telling.Unlock()
	h.options.Events(e)
}
