package stage

import "time"

// EventKind says what an [Event] is about.
type EventKind string

// The kinds, with the fields that each fills in besides Seq, Time and Kind. Those
// about a machine also have Machine, those about a stage Stage.
const (
	// EventRunStarted begins a run. Text is the lab's name, Total the number of stages.
	EventRunStarted EventKind = "run-started"
	// EventRunEnded ends it, with Elapsed, and Err if it failed.
	EventRunEnded EventKind = "run-ended"
	// EventWaiting says in Text for whom the run waits.
	EventWaiting EventKind = "waiting"
	// EventNote says in Text something worth knowing, such as a fallback to an older snapshot.
	EventNote EventKind = "note"

	// EventPlanned says what the run will do with a stage: Text is "cached", "run",
	// "skipped" or "not wanted", Why is the reason, Key the stage's key.
	EventPlanned EventKind = "planned"

	// EventRestoring says that the machine's tree becomes that of the snapshot in Text.
	// Stage is empty if that is the base's or a checkpoint's.
	EventRestoring EventKind = "restoring"
	// EventRestored ends it, with Elapsed, and Err if it failed.
	EventRestored EventKind = "restored"
	// EventMachineStarting and EventMachineStarted say that the machine boots; the latter has Elapsed.
	EventMachineStarting EventKind = "starting"
	EventMachineStarted  EventKind = "started"
	// EventMachineStopped says that the machine is off. It has Elapsed.
	EventMachineStopped EventKind = "stopped"

	// EventStageStarted begins a stage: Why it runs, its Key, and Total, its number of steps.
	EventStageStarted EventKind = "stage-started"
	// EventStageEnded ends it, with Elapsed, and Err if it failed. Log is its whole output.
	EventStageEnded EventKind = "stage-ended"
	// EventStageWaiting says in Text which stage of another machine must be complete first.
	EventStageWaiting EventKind = "stage-waiting"
	// EventStageBlocked says that the stage was not tried; Err names the one it needs.
	EventStageBlocked EventKind = "stage-blocked"

	// EventStepStarted begins step number Index of Total, Text being the step.
	EventStepStarted EventKind = "step-started"
	// EventStepEnded ends it, with Elapsed, and Err if it failed.
	EventStepEnded EventKind = "step-ended"
	// EventOutput is one line that a step printed, in Text, without escapes or secrets.
	EventOutput EventKind = "output"

	// EventCheckPassed says that check number Index of Total, in Text, holds, after Elapsed.
	EventCheckPassed EventKind = "check-passed"
	// EventCheckWaiting says that it does not hold yet; Err is what was seen instead. It
	// is sent when what is seen changes.
	EventCheckWaiting EventKind = "check-waiting"
	// EventCheckFailed says that it did not come true in time.
	EventCheckFailed EventKind = "check-failed"

	// EventSaving says that the tree is being saved. Text is the snapshot's name, Why
	// how the machine is held still meanwhile.
	EventSaving EventKind = "saving"
	// EventSaved ends it, with Elapsed, and Err if it failed.
	EventSaved EventKind = "saved"
)

// Event is one thing that happened in a run. Events come one at a time, in the order
// of Seq; those of one machine are in the order in which they happened.
type Event struct {
	Seq     int           `json:"seq"`
	Time    time.Time     `json:"time"`
	Kind    EventKind     `json:"kind"`
	Machine string        `json:"machine,omitempty"`
	Stage   string        `json:"stage,omitempty"`
	Index   int           `json:"index,omitempty"` // from 1
	Total   int           `json:"total,omitempty"`
	Text    string        `json:"text,omitempty"`
	Why     string        `json:"why,omitempty"`
	Key     string        `json:"key,omitempty"`
	Log     string        `json:"log,omitempty"`
	Elapsed time.Duration `json:"elapsed,omitempty"` // nanoseconds
	Err     string        `json:"error,omitempty"`
}
