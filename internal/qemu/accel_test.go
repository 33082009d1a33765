package qemu

import "testing"

func TestHasFlag(t *testing.T) {
	t.Parallel()
	const cpuinfo = "processor\t: 0\nvmx flags\t: 1\nflags\t\t: fpu vmx\nbugs\t\t: svm\n\nprocessor\t: 1\nflags\t\t: svm\n"
	for flag, want := range map[string]bool{"fpu": true, "vmx": true, "svm": false, "vm": false} {
		if got := hasFlag(cpuinfo, flag); got != want {
			t.Errorf("%s: %v", flag, got)
		}
	}
}
