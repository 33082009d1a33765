package snapshot

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// base is the name of the snapshot that the volume's tree descends from, or empty.
func (v *Volume) base() string {
	name, _ := v.readBase()
	return name
}

// readBase returns the base, and the highest sequence number that a snapshot of the
// volume ever had, or 0 if that is not known. Both are in the target of a symbolic link,
// for the reason that intents are, with a slash between, which no name has.
func (v *Volume) readBase() (name string, sequence uint64) {
	text, err := os.Readlink(v.record("base"))
	if err != nil {
		return "", 0
	}
	name, number, _ := strings.Cut(text, "/")
	sequence, _ = strconv.ParseUint(number, 10, 64)
	return name, sequence
}

// nextSequence orders snapshots whatever the clock does.
func (v *Volume) nextSequence() (uint64, error) {
	if _, last := v.readBase(); last > 0 {
		return last + 1, nil
	}
	list, err := v.list()
	if err != nil || len(list) == 0 {
		return 1, err
	}
	return list[len(list)-1].sequence + 1, nil
}

// draftBase makes the new base in the workshop, since what may find no space is done
// while the operation can still be undone.
func (op *operation) draftBase(ctx context.Context, name string, sequence uint64) error {
	return step(ctx, "draft base", func() error { return os.Symlink(baseTarget(name, sequence), op.work("base")) })
}

func baseTarget(name string, sequence uint64) string {
	if sequence == 0 {
		return name
	}
	return fmt.Sprintf("%s/%d", name, sequence)
}

// moveBase puts the new base, unless that has been done, into the volume's record.
func (op *operation) moveBase(ctx context.Context, v *Volume) error {
	return op.move(ctx, op.work("base"), v.record("base"))
}

// move renames a draft, if it is still there, to the place it was made for.
func (op *operation) move(ctx context.Context, draft, path string) error {
	there, err := present(draft)
	if err != nil || !there {
		return err
	}
	return rename(ctx, draft, path, 0)
}
