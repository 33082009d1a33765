package stage

import "time"

// Kind says what an [Event] is about.
type Kind string

// The kinds, with the fields that each fills in besides Seq, Time and Kind. Those
// about a machine also have Machine, those about a stage Stage.
const (
	// RunStarted begins a run. Text is the lab's name, Total the number of stages.
	RunStarted Kind = "run-started"
	// RunEnded ends it, with Elapsed, and Err if it failed.
	RunEnded Kind = "run-ended"
	// Waiting says in Text for whom the run waits.
	Waiting Kind = "waiting"
	// Note says in Text something worth knowing, such as a fallback to an older snapshot.
	Note Kind = "note"

	// Planned says what the run will do with a stage: Text is "cached", "run",
	// "skipped" or "not wanted", Why is the reason, Key the stage's key.
	Planned Kind = "planned"

	// Restoring says that the machine's tree becomes that of the snapshot in Text.
	// Stage is empty if that is the base's or a checkpoint's.
	Restoring Kind = "restoring"
	// Restored ends it, with Elapsed, and Err if it failed.
	Restored Kind = "restored"
	// Starting and Started say that the machine boots; Started has Elapsed.
	Starting Kind = "starting"
	Started  Kind = "started"
	// Stopped says that the machine is off. It has Elapsed.
	Stopped Kind = "stopped"

	// StageStarted begins a stage: Why it runs, its Key, and Total, its number of steps.
	StageStarted Kind = "stage-started"
	// StageEnded ends it, with Elapsed, and Err if it failed. Log is its whole output.
	StageEnded Kind = "stage-ended"
	// StageWaiting says in Text which stage of another machine must be complete first.
	StageWaiting Kind = "stage-waiting"
	// StageBlocked says that the stage was not tried; Err names the one it needs.
	StageBlocked Kind = "stage-blocked"

	// StepStarted begins step number Index of Total, Text being the step.
	StepStarted Kind = "step-started"
	// StepEnded ends it, with Elapsed, and Err if it failed.
	StepEnded Kind = "step-ended"
	// Output is one line that a step printed, in Text, without escapes or secrets.
	Output Kind = "output"

	// CheckPassed says that check number Index of Total, in Text, holds, after Elapsed.
	CheckPassed Kind = "check-passed"
	// CheckWaiting says that it does not hold yet; Err is what was seen instead. It
	// is sent when what is seen changes.
	CheckWaiting Kind = "check-waiting"
	// CheckFailed says that it did not come true in time.
	CheckFailed Kind = "check-failed"

	// Saving says that the tree is being saved. Text is the snapshot's name, Why
	// how the machine is held still meanwhile.
	Saving Kind = "saving"
	// SavedTree ends it, with Elapsed, and Err if it failed.
	SavedTree Kind = "saved"
)

// Event is one thing that happened in a run. Events come one at a time, in the order
// of Seq; those of one machine are in the order in which they happened.
type Event struct {
	Seq     int           `json:"seq"`
	Time    time.Time     `json:"time"`
	Kind    Kind          `json:"kind"`
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
