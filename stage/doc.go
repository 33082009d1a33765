// Package stage provisions machines stage by stage and keeps a snapshot after each, so
// that any stage can be run again within a second and none runs without need.
//
// # Words
//
// A [Plan] has a [Setup] for each machine: the list of its stages, in order. A [Stage]
// is a named unit: its steps do something, its checks say what must hold then, and it
// ends in a snapshot of the machine's tree. It may need stages of other machines.
// Package step has steps and package check has checks; anything with the methods of
// [Step] or [Check] is one too.
//
// All this is plain data. A [Lab] puts it together with what it is carried out on, a
// [Machine] and a [Volume] for each setup.
//
// # Keys
//
// A stage's key is the hash of all that decides its result: the key of the stage before
// it, or of the base; the keys of the stages that it needs; its steps, with the content
// of the files that they copy; and its declared inputs. Checks are left out: they look
// and change nothing. So are names, time-outs and documentation.
//
// A snapshot is filed under the key of the stage that it was taken after. So it is the
// cache entry of that stage and the point to go back to, in one. When an input of some
// stage changes, so does its key and that of every stage that depends on it, no
// snapshot is found for those, and they run again, from the newest snapshot that still
// matches. When the input changes back, the old snapshots match again.
// [Lab.Explain] names the input.
//
// # A run
//
// [Lab.Run] takes the lab's lock, computes the keys, and then goes on with every
// machine side by side: it restores the newest snapshot that matches unless the tree
// is known to be just that, starts the machine, and carries out the stages that are
// left, each as soon as those it needs are complete. After the steps come the checks,
// looked at again and again until they hold or their time is over; no step has to
// sleep. Then the inputs are read once more, since a tree must not be filed under the
// key of something else, and the tree is saved: flushed and frozen for the moment of
// the snapshot where the machine is a [Freezer].
//
// If nothing is left to run, a run only makes the checks of each machine's last stage
// again. Machines are left running; [Lab.PowerOff] ends them.
//
// # What is known of a tree
//
// Before a tree changes, the lab's state directory says so, on disk; when a stage's
// snapshot is complete, it says that too. A tree that is not known to be that of a
// completed stage, because a stage failed in the middle of it, because the program was
// killed, or because the machine ended otherwise than through it, is never used: it is
// replaced by the newest snapshot that matches. So a run can be interrupted anywhere,
// by the end of its context, by SIGKILL or by a power cut, and the next one resumes
// after the last completed stage. Losing the state directory costs one restore.
//
// # Going back
//
// [Steering] narrows a run or has stages run again, with all that depend on them.
// [Lab.Rollback] only restores: a machine as it was after a stage, and with it those
// that depend on what is undone. [Lab.Checkpoint] gives one name to the state of all
// machines at one moment. [Lab.Fork] copies a lab, [Lab.Bisect] finds the stage that
// broke something, [Lab.Diff] shows what a stage changed: files, packages, units and the
// ports that the machine listens at. Nothing of this deletes a snapshot; [Lab.Prune] does.
//
// What a step binds of the host, on a machine that is a [Binder], is no part of the tree.
// A machine started from the tree of that stage or of a later one sees it again.
//
// # Secrets
//
// Steps and inputs hold secrets by name. [Options] has a function that returns their
// values. A key contains an HMAC of them, logs and events have them replaced by their
// names, and no file of the lab has them.
package stage
