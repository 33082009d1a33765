package alpm_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/prologin/rig/archboot/archtest/alpm"
)

// A package and the database of a repository that has it, as pacman reads them.
func Example() {
	var archive, database bytes.Buffer
	entry, err := alpm.Write(&archive, alpm.Package{
		Name: "hello", Version: "1.0-1", Arch: "any", Description: "says hello",
		Files: []alpm.File{{Path: "usr/share/hello", Mode: 0o644, Data: []byte("hello\n")}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := alpm.WriteDatabase(&database, []alpm.Entry{entry}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(entry.FileName, database.Len() > 0)
	// Output: hello-1.0-1-any.pkg.tar.zst true
}
