package lab

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// moduleInstalled reports whether there is a module of the running kernel to load.
func moduleInstalled(name string) bool {
	var uts unix.Utsname
	if unix.Uname(&uts) != nil {
		return false
	}
	list, err := os.ReadFile(filepath.Join("/lib/modules", unix.ByteSliceToString(uts.Release[:]), "modules.dep"))
	return err == nil && listsModule(string(list), name)
}

// listsModule looks for a module in the text of a modules.dep(5), whose lines begin with the
// module's file, compressed or not, and a colon.
func listsModule(list, name string) bool {
	for line := range strings.Lines(list) {
		file, _, _ := strings.Cut(line, ":")
		if module, _, _ := strings.Cut(path.Base(file), ".ko"); module == name {
			return true
		}
	}
	return false
}
