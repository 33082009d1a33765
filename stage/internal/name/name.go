// Package name has the rule for names of labs, machines, stages and checkpoints, which become
// names of files.
package name

import (
	"errors"
	"fmt"
	"strings"
)

// longest leaves room for a key in a file name made of a stage's name.
const longest = 100

// Check says what is wrong with a name, if anything is.
func Check(name string) error {
	if name == "" {
		return errors.New("empty name")
	}
	if len(name) > longest {
		return fmt.Errorf("name longer than %d bytes", longest)
	}
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "-") {
		return fmt.Errorf("name begins with %q", name[:1])
	}
	for _, c := range name {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("._-", c)) {
			return fmt.Errorf("%q is none of letters, digits, '.', '_' and '-'", c)
		}
	}
	return nil
}
