package stage

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// IngredientChange is an ingredient of a stage that is not what it was.
type IngredientChange struct {
	// Name is the ingredient's, such as "step 2: content" or "parent".
	Name string

	// Before and After are the values. Both are empty for secrets, for binary data
	// and for what is too long to be kept; one is for what is new or gone.
	Before, After string

	// Files names the files of a tree that differ, relative to it.
	Files []string
}

// String returns the change in one line, or in several, like a diff, if the values
// have several lines.
func (c IngredientChange) String() string {
	before, after := c.Before, c.After
	switch {
	case before == "" && after == "":
		return c.Name + " changed"
	case !strings.Contains(before, "\n") && !strings.Contains(after, "\n"):
		return fmt.Sprintf("%s changed from %q to %q", c.Name, before, after)
	}
	return c.Name + " changed:\n" + strings.TrimSuffix(diffLines(before, after), "\n")
}

// compare returns what differs between two recipes, the old one first. Without an old
// one it returns nil.
func compare(before, after *Recipe) []IngredientChange {
	if before == nil || after == nil {
		return nil
	}
	old := map[string]Ingredient{}
	for _, in := range before.Ingredients {
		old[in.Name] = in
	}
	var changes []IngredientChange
	for _, in := range after.Ingredients {
		was, ok := old[in.Name]
		delete(old, in.Name)
		if !ok || was.Digest != in.Digest {
			changes = append(changes, IngredientChange{in.Name, was.Text, in.Text, changedFiles(was, in)})
		}
	}
	for _, in := range before.Ingredients {
		if was, ok := old[in.Name]; ok {
			changes = append(changes, IngredientChange{Name: in.Name, Before: was.Text})
		}
	}
	return changes
}

// changedFiles returns the files that two manifests do not have alike. One that is a
// single file has no name of its own.
func changedFiles(before, after Ingredient) (names []string) {
	if !before.Files || !after.Files {
		return nil
	}
	was, is := manifestLines(before.Text), manifestLines(after.Text)
	for name, line := range is {
		if was[name] != line {
			names = append(names, name)
		}
	}
	for name := range was {
		if _, ok := is[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool { return name == "." })
}

// manifestLines returns the lines of a manifest by the name that each ends with.
func manifestLines(text string) map[string]string {
	lines := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		name, err := strconv.Unquote(line[strings.LastIndex(line, ` "`)+1:])
		if err == nil {
			lines[name] = line
		}
	}
	return lines
}

// inWords names the change, and the first of the files.
func (c IngredientChange) inWords() string {
	switch len(c.Files) {
	case 0:
		return c.Name + " changed"
	case 1:
		return fmt.Sprintf("%s changed (%s)", c.Name, c.Files[0])
	}
	return fmt.Sprintf("%s changed (%s and %d more)", c.Name, c.Files[0], len(c.Files)-1)
}

// summary names the changes in a few words. What comes from other stages is only
// named if nothing of the stage's own changed.
func summary(changes []IngredientChange) string {
	var own, others []string
	for _, c := range changes {
		switch {
		case c.Name == "parent":
			others = append(others, "the stage before it changed")
		case strings.HasPrefix(c.Name, "need "):
			others = append(others, strings.TrimPrefix(c.Name, "need ")+" changed")
		default:
			own = append(own, c.inWords())
		}
	}
	if len(own) == 0 {
		own = others
	}
	if len(own) > 3 {
		own = append(own[:3], fmt.Sprintf("%d more", len(own)-3))
	}
	return strings.Join(own, ", ")
}

// Explain returns what changed in a stage since it was last completed, which is why
// it would run again. It is empty if nothing changed, and an error that matches
// [ErrNotFound] if the stage was never completed.
func (l *Lab) Explain(ctx context.Context, stage string) ([]IngredientChange, error) {
	t, i, err := l.look(ctx, stage)
	if err != nil {
		return nil, err
	}
	w := t.work[i]
	last, ok := t.state.Keys[w.Name]
	if !ok {
		return nil, fmt.Errorf("stage %s: never completed: %w", w.ref, ErrNotFound)
	}
	if last == w.key {
		return nil, nil
	}
	before := l.dir.loadRecipe(last)
	if before == nil {
		return nil, fmt.Errorf("stage %s: its last recipe: %w", w.ref, ErrNotFound)
	}
	return compare(before, w.recipe), nil
}

// look returns the track that has the named stage, and the stage's index in it.
func (l *Lab) look(ctx context.Context, stage string) (*track, int, error) {
	node, err := l.resolve(stage)
	if err != nil {
		return nil, 0, err
	}
	tracks, err := l.tracks(ctx, Steering{})
	if err != nil {
		return nil, 0, err
	}
	for _, t := range tracks {
		for i, w := range t.work {
			if w.node == node {
				return t, i, nil
			}
		}
	}
	return nil, 0, fmt.Errorf("stage %q: %w", stage, ErrNotFound) // not reached: it was resolved
}
