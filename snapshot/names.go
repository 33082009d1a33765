package snapshot

import (
	"errors"
	"io"
	"iter"
	"os"
	"slices"
)

// mostNames is how many names of one directory are held at once, and read at once.
const (
	mostNames = 1 << 13
	someNames = 1 << 10
)

// sortedNames yields the names in a directory in their order. It reads a directory of
// many names as often as it takes to hold but some of them. A nil directory is empty.
func sortedNames(dir *os.File) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for after, more := "", dir != nil; more; {
			var names []string
			var err error
			if names, more, err = namesAfter(dir, after); err != nil {
				yield("", err)
				return
			}
			for _, name := range names {
				if !yield(name, nil) {
					return
				}
			}
			if more {
				after = names[len(names)-1]
			}
		}
	}
}

// namesAfter returns the first names beyond one, and whether there are more.
func namesAfter(dir *os.File, after string) (names []string, more bool, err error) {
	if _, err := dir.Seek(0, io.SeekStart); err != nil {
		return nil, false, err
	}
	cut := func() {
		slices.Sort(names)
		if len(names) > mostNames {
			clear(names[mostNames:])
			names, more = names[:mostNames], true
		}
	}
	for {
		some, err := dir.Readdirnames(someNames)
		for _, name := range some {
			if name > after {
				names = append(names, name)
			}
		}
		if len(names) >= 2*mostNames {
			cut()
		}
		if errors.Is(err, io.EOF) || vanished(err) {
			cut()
			return names, more, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
}
