package stage

import "context"

// Differ is a [Volume] that can tell what changed between two snapshots. An empty name
// is the tree as it is now.
type Differ interface {
	Diff(ctx context.Context, from, to string) ([]FileChange, error)
}

// FileChange is one file that differs between two trees.
type FileChange struct {
	// Path is absolute, in the machine.
	Path string
	Kind ChangeKind
}

// ChangeKind says how a file differs.
type ChangeKind string

// The kinds of [FileChange]. A file of which only mode or owner differ is Modified.
const (
	Added    ChangeKind = "added"
	Modified ChangeKind = "modified"
	Removed  ChangeKind = "removed"
)
