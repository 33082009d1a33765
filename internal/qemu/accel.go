package qemu

import (
	"os"
	"strings"
)

// Accelerator returns what QEMU's options -accel and -cpu should say here: the
// processor's help where there is any, else emulation, which is some ten times slower.
//
// That /dev/kvm opens says little: without the processor's help, as in machines that
// are virtual themselves, it may run only kernels that were made for it.
func Accelerator() (accel, cpu string) {
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err == nil {
		kvm.Close()
		if cpuinfo, _ := os.ReadFile("/proc/cpuinfo"); hasFlag(string(cpuinfo), "vmx") || hasFlag(string(cpuinfo), "svm") {
			return "kvm", "host"
		}
	}
	return "tcg,thread=multi", "Nehalem"
}

// hasFlag looks at the flags of the first processor in /proc/cpuinfo.
func hasFlag(cpuinfo, flag string) bool {
	_, flags, _ := strings.Cut(cpuinfo, "\nflags")
	flags, _, _ = strings.Cut(flags, "\n")
	return strings.Contains(flags+" ", " "+flag+" ")
}
