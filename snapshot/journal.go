package snapshot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// cleanupTime is how long an operation may spend on undoing itself after its
// context is done.
const cleanupTime = 10 * time.Minute

// An intent says what an operation is about to do. It is written before anything
// else is touched and removed when nothing is left to do, by the operation itself
// or by the next one to get the store's lock: an intent that is found under the
// lock belongs to the dead.
type intent struct {
	Op       string
	Volume   string
	Snapshot string `json:",omitempty"`
	// Volumes are those of an operation on several.
	Volumes []string `json:",omitempty"`
	// To is the new name of what is renamed.
	To string `json:",omitempty"`
	// Identity is that of the tree that is to be placed or withdrawn.
	Identity string `json:",omitempty"`

	id string // names the journal entry and the workshop
}

// An operation is an intent being carried out, by the holder of the lock.
type operation struct {
	store *Store
	intent
}

// work is a path in the operation's workshop: a directory of its own in which
// trees and records are made before they are shown, and go before they are removed.
// Its names are: "tree", a volume's tree; "item", a snapshot with its record and
// its tree; "parts", several items; "record", a volume's record with all its snapshots.
func (op *operation) work(elem ...string) string {
	return op.store.state(append([]string{"work", op.id}, elem...)...)
}

// do carries out an operation under the store's lock. First check, which changes
// nothing, may refuse it; then run does it, and whatever becomes of that, the
// operation is settled: what run had not completed is undone.
func (s *Store) do(ctx context.Context, in intent, check func() error, run func(*operation) error) error {
	return s.locked(ctx, in.Op, func() error {
		if err := check(); err != nil {
			return err
		}
		return s.carryOut(ctx, in, run)
	})
}

// locked calls f under the store's lock, when what the dead left has been swept.
func (s *Store) locked(ctx context.Context, op string, f func() error) (err error) {
	if err := s.lock.acquire(ctx, op); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.lock.release()) }()
	if err := s.sweep(ctx); err != nil {
		return err
	}
	return f()
}

func (s *Store) carryOut(ctx context.Context, in intent, run func(*operation) error) error {
	op := &operation{store: s, intent: in}
	op.id = in.Op + "-" + rand.Text()
	if err := op.announce(ctx); err != nil {
		return err
	}
	err := run(op)
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	committed, settleErr := op.settle(cleanup)
	if settleErr != nil && op.Op != opClear { // once more: what failed for lack of space may have found some
		committed, settleErr = op.settle(cleanup)
	}
	if committed && err != nil {
		s.log.WarnContext(ctx, "operation completed late", "op", in.Op, "volume", in.Volume, "err", err)
		err = nil
	}
	return errors.Join(err, settleErr)
}

// announce writes the intent down and opens the workshop.
func (op *operation) announce(ctx context.Context) error {
	draft := op.store.state("work", "draft")
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeRecord(ctx, draft, op.intent); err != nil {
		return err
	}
	if err := rename(ctx, draft, op.store.state("journal", op.id), 0); err != nil {
		return err
	}
	return step(ctx, "open workshop", func() error {
		if err := os.Mkdir(op.work(), 0o700); !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// identify adds the identity of a tree to the intent.
func (op *operation) identify(ctx context.Context, tree string) (err error) {
	if op.Identity, err = op.store.driver.Identity(tree); err != nil {
		return err
	}
	return op.announce(ctx)
}

// sweep settles what dead processes left. Only the holder of the lock may call it.
func (s *Store) sweep(ctx context.Context) error {
	entries, err := os.ReadDir(s.state("journal"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		op := &operation{store: s}
		if err := readRecord(s.state("journal", e.Name()), &op.intent); err != nil {
			return err
		}
		op.id = e.Name()
		committed, err := op.settle(ctx)
		if err != nil {
			return fmt.Errorf("settle what an interrupted %s of %s left: %w", op.Op, op.Volume, err)
		}
		s.log.InfoContext(ctx, "settled an interrupted operation", "op", op.Op,
			"volume", op.Volume, "snapshot", op.Snapshot, "completed", committed)
	}
	if err := s.sweepWork(ctx); err != nil || len(entries) == 0 {
		return err
	}
	return s.settleVolumes(ctx)
}

// sweepWork removes what belongs to no intent: the draft of one that was never
// announced, and what a driver tried when the store was opened.
func (s *Store) sweepWork(ctx context.Context) error {
	for _, name := range []string{"draft", "probe"} {
		path := s.state("work", name)
		there, err := present(path)
		if err == nil && there {
			err = step(ctx, "sweep "+name, func() error { return os.RemoveAll(path) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settle completes the operation if it was committed, undoes it otherwise, says
// which, and removes what it left in the workshop. It looks at what is on disk only,
// so that it does the same after a failure and after a crash, and may itself be
// interrupted and repeated. On error the state is still to be settled; space that
// could not be freed is no error but left to the next sweep.
func (op *operation) settle(ctx context.Context) (committed bool, err error) {
	decide, ok := map[string]func(*operation, context.Context) (bool, error){
		opClear:           (*operation).settleClear,
		"create":          (*operation).settleCreate,
		"snapshot":        (*operation).settleSnapshot,
		"checkpoint":      (*operation).settleCheckpoint,
		"restore":         (*operation).settleRestore,
		"delete":          (*operation).settleDelete,
		"delete-snapshot": (*operation).settleDeleteSnapshot,
		"rename":          (*operation).settleRename,
		"rename-snapshot": (*operation).settleRenameSnapshot,
	}[op.Op]
	if !ok {
		return false, fmt.Errorf("intent to %q: %w", op.Op, ErrFormat)
	}
	if committed, err = decide(op, ctx); err != nil {
		return false, err
	}
	err = op.clear(ctx)
	if err == nil {
		err = step(ctx, "drop intent", func() error { return os.Remove(op.store.state("journal", op.id)) })
	}
	if err == nil {
		return committed, nil
	}
	op.store.log.WarnContext(ctx, "left for the next sweep", "dir", op.work(), "err", err)
	// What is decided stays so, whatever the names stand for by the next sweep.
	op.Op = opClear
	return committed, op.announce(ctx)
}

// opClear is the intent to remove a workshop and nothing else.
const opClear = "clear"

func (op *operation) settleClear(context.Context) (bool, error) { return false, nil }

// clear removes the workshop and every tree in it.
func (op *operation) clear(ctx context.Context) error {
	trees := []string{op.work("tree"), op.work("item", "tree")}
	for _, dir := range []string{op.work("record", "snapshots"), op.work("parts")} {
		more, err := filepath.Glob(filepath.Join(globEscape(dir), "*", "tree"))
		if err != nil {
			return err
		}
		trees = append(trees, more...)
	}
	for _, tree := range trees {
		if err := op.store.driver.Remove(ctx, tree); err != nil {
			return err
		}
	}
	return step(ctx, "close workshop", func() error { return os.RemoveAll(op.work()) })
}
