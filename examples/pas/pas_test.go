package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/prologin/rig/examples/internal/walk"
)

func TestMain(m *testing.M) { walk.Main(m, map[string]func(){"pas": main}) }

// TestWalk sets up gw, rhfs0 and pas-r11p11 and boots a virtual machine beside them.
func TestWalk(t *testing.T) {
	if os.Getenv("RIG_LAB") != "all" {
		t.Skip("emulates a computer, which takes minutes: only with RIG_LAB=all")
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("no QEMU: install qemu-system-x86")
	}
	walk.Run(t, "pas", nil)
}
