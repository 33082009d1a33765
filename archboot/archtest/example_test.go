package archtest_test

import (
	"context"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/archboot/archtest/alpm"
)

// A program that needs packages serves them to itself.
func ExampleStart() {
	mirror, err := archtest.Start(context.Background(), archtest.Options{
		Suite:      archtest.Synthetic,
		Repository: "ours",
		Packages: []alpm.Package{{
			Name: "hello", Version: "1.0-1", Depends: []string{"bash"},
			Files: []alpm.File{
				{Path: "usr/bin/hello", Mode: 0o755, Data: []byte("#!/bin/bash\necho hello\n")},
				{Path: "usr/bin/hi", Mode: fs.ModeSymlink, Target: "hello"},
			},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer mirror.Close()

	r, err := http.Get(mirror.URL + "/ours/os/x86_64/hello-1.0-1-any.pkg.tar.zst.sig")
	if err != nil {
		log.Fatal(err)
	}
	r.Body.Close()
	fmt.Println(r.Status, mirror.Repositories())
	// Output: 200 OK [ours]
}

// A whole distribution, in the network namespace of a machine.
func ExampleStart_machine() {
	mirror, err := archtest.Start(context.Background(), archtest.Options{
		Suite:    archtest.Trixie,
		AddOns:   []string{"nginx", "bind"},
		Listen:   "10.0.0.1:8000",
		Progress: func(e archtest.Event) { fmt.Println(e.Phase, e.Message) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer mirror.Close()
	fmt.Println("Server =", mirror.Server())
}

// A test of how a program takes a mirror that breaks off.
func ExampleMirror_Inject() {
	var t *testing.T // of the test
	mirror := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic})
	remove := mirror.Inject("*.db", archtest.Times(2, archtest.Truncate(100)))
	defer remove()
	// … two downloads of a database fail, the third one succeeds …
	for _, request := range mirror.Requests() {
		fmt.Println(request.Path, request.Status, request.Bytes)
	}
}

// In a test the mirror ends with it, and what was asked of it can be looked at.
func ExampleNewMirror() {
	var t *testing.T // of the test
	mirror := archtest.NewMirror(t, archtest.Options{Suite: archtest.Trixie, AddOns: []string{"nginx"}})
	config := filepath.Join(t.TempDir(), "pacman.conf")
	if err := os.WriteFile(config, []byte(mirror.PacmanConf()), 0o644); err != nil {
		t.Fatal(err)
	}
	// … pacstrap -C config, with mirror.PublicKeyFile() in its keyring …
	for _, request := range mirror.Requests() {
		t.Log(request.Path, request.Status, request.Bytes)
	}
}
