package qemu

import (
	"errors"
	"os"
	"strings"
)

// ErrNoExtensions says that the processor cannot run a machine's code itself, though
// there is a /dev/kvm: in a virtual machine it may run only kernels that were made for it.
var ErrNoExtensions = errors.New("the processor has neither vmx nor svm")

// KVM returns nil if the processor helps to run virtual machines, and else why not: what
// kept /dev/kvm from being opened, or [ErrNoExtensions].
func KVM() error { return kvm("/dev/kvm", "/proc/cpuinfo") }

func kvm(device, cpuinfo string) error {
	file, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	file.Close()
	info, err := os.ReadFile(cpuinfo)
	if err == nil && !hasFlag(string(info), "vmx") && !hasFlag(string(info), "svm") {
		err = ErrNoExtensions
	}
	return err
}

// Accelerator returns what QEMU's options -accel and -cpu should say here: the
// processor's help where there is any, else emulation, which is some ten times slower.
func Accelerator() (accel, cpu string) {
	if KVM() == nil {
		return "kvm", "host"
	}
	return "tcg,thread=multi", "Nehalem"
}

// hasFlag looks at the flags of the first processor in /proc/cpuinfo.
func hasFlag(cpuinfo, flag string) bool {
	_, flags, _ := strings.Cut(cpuinfo, "\nflags")
	flags, _, _ = strings.Cut(flags, "\n")
	return strings.Contains(flags+" ", " "+flag+" ")
}
