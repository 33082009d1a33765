package nspawn

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syncCalls write to disk what is in memory.
var syncCalls = map[string]uint32{
	"fsync": unix.SYS_FSYNC, "fdatasync": unix.SYS_FDATASYNC, "sync": unix.SYS_SYNC, "syncfs": unix.SYS_SYNCFS,
	"msync": unix.SYS_MSYNC, "sync_file_range": unix.SYS_SYNC_FILE_RANGE,
}

// auditArch is how a filter tells native system calls from others.
var auditArch = map[string]uint32{
	"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64, "riscv64": unix.AUDIT_ARCH_RISCV64,
}

// suppressSync makes the sync system calls of the calling thread, and of all that
// it starts, succeed without doing anything. nspawn's own --suppress-sync denies
// openat2(2) altogether, whose flags a filter cannot see, and programs that rely
// on it fail: tftpd-hpa and podman among them.
func suppressSync() error {
	arch, known := auditArch[runtime.GOARCH]
	if !known {
		return &Error{Op: "suppress sync", Err: ErrNotSupported, Hint: "no filter is known for " + runtime.GOARCH}
	}
	filter := syncFilter(arch)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("suppress sync: seccomp: %w", errno)
	}
	return nil
}

// callFilter is a unit's SystemCallFilter.
type callFilter struct {
	Allow bool
	Calls []string // with ":ERRNO", or of those that are allowed
}

// withoutSync is what suppressSync does, for a unit.
func withoutSync() callFilter {
	var f callFilter
	for name := range syncCalls {
		f.Calls = append(f.Calls, name+":0")
	}
	return f
}

// syncFilter is a program over struct seccomp_data: its number and architecture
// are the first two words.
func syncFilter(arch uint32) []unix.SockFilter {
	const (
		load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		isEqual = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		give    = unix.BPF_RET | unix.BPF_K
	)
	calls := uint8(len(syncCalls))
	filter := []unix.SockFilter{
		{Code: load, K: 4},
		{Code: isEqual, K: arch, Jf: calls + 1}, // not ours: allow
		{Code: load, K: 0},
	}
	left := calls
	for _, number := range syncCalls {
		filter = append(filter, unix.SockFilter{Code: isEqual, K: number, Jt: left})
		left--
	}
	return append(filter,
		unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ERRNO}, // with errno 0: success
	)
}
