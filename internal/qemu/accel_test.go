package qemu

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestHasFlag(t *testing.T) {
	t.Parallel()
	const cpuinfo = "processor\t: 0\nvmx flags\t: 1\nflags\t\t: fpu vmx\nbugs\t\t: svm\n\nprocessor\t: 1\nflags\t\t: svm\n"
	for flag, want := range map[string]bool{"fpu": true, "vmx": true, "svm": false, "vm": false} {
		if got := hasFlag(cpuinfo, flag); got != want {
			t.Errorf("%s: %v", flag, got)
		}
	}
}

// TestKVM: a device that opens is not enough.
func TestKVM(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	device, none := write("kvm", ""), filepath.Join(dir, "none")
	amd, pvm := write("amd", "processor\t: 0\nflags\t\t: fpu svm\n"), write("pvm", "processor\t: 0\nflags\t\t: fpu hypervisor\n")
	for _, c := range []struct {
		device, cpuinfo string
		want            error
	}{
		{device, amd, nil},
		{device, pvm, ErrNoExtensions},
		{none, amd, fs.ErrNotExist},
		{device, none, fs.ErrNotExist},
	} {
		if err := kvm(c.device, c.cpuinfo); !errors.Is(err, c.want) {
			t.Errorf("%s, %s: %v, want %v", c.device, c.cpuinfo, err, c.want)
		}
	}
}
