package netsetup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What linux/netfilter_ipv4/ip_tables.h and its sister for IPv6 lay out. The
// numbers are the same in both.
const (
	getInfo    = 64 // IPT_SO_GET_INFO
	getEntries = 65 // IPT_SO_GET_ENTRIES

	infoSize      = 84 // struct ipt_getinfo: name, valid_hooks, hook_entry, underflow, num_entries, size
	entriesHeader = 40 // struct ipt_get_entries, before its entries
	hookCount     = 5
	verdictAt     = 32 // in a struct xt_standard_target
	policyAccept  = -2 // -NF_ACCEPT - 1
)

// legacyUsed reports whether a table of the legacy backend has a rule, a chain of
// somebody's, or a policy other than ACCEPT. That needs no program, which the host
// may lack: a container may have brought the rules.
func legacyUsed(f family, table string) (used bool, err error) {
	for tries := 0; tries < 10; tries++ {
		used, err = readLegacy(f, table)
		if !errors.Is(err, unix.EAGAIN) { // the table was exchanged between two looks at it
			break
		}
	}
	return used, err
}

func readLegacy(f family, table string) (bool, error) {
	level, domain, targetAt := unix.SOL_IP, unix.AF_INET, 88
	if f == ipv6 {
		level, domain, targetAt = unix.SOL_IPV6, unix.AF_INET6, 140
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	info := make([]byte, infoSize)
	copy(info, table)
	if err := getsockopt(fd, level, getInfo, info); err != nil {
		return false, err
	}
	word := func(at int) uint32 { return binary.NativeEndian.Uint32(info[at:]) }
	hooks, count, size := word(32), word(76), word(80)
	// A policy is an entry, and so is the end of the table.
	if int(count) > bits.OnesCount32(hooks)+1 {
		return true, nil
	}
	entries := make([]byte, entriesHeader+int(size))
	copy(entries, table)
	binary.NativeEndian.PutUint32(entries[32:], size)
	if err := getsockopt(fd, level, getEntries, entries); err != nil {
		return false, err
	}
	for hook := range hookCount {
		if hooks&(1<<hook) == 0 {
			continue
		}
		policy := word(36 + 4*hookCount + 4*hook)
		accepts, err := acceptsAt(entries[entriesHeader:], int(policy), targetAt)
		if err != nil || !accepts {
			return !accepts, err
		}
	}
	return false, nil
}

// acceptsAt reports whether the policy at an offset is ACCEPT.
func acceptsAt(entries []byte, at, targetAt int) (bool, error) {
	if at+targetAt+2 > len(entries) {
		return false, fmt.Errorf("an entry at %d of %d bytes", at, len(entries))
	}
	at += int(binary.NativeEndian.Uint16(entries[at+targetAt:])) + verdictAt
	if at+4 > len(entries) {
		return false, fmt.Errorf("a verdict at %d of %d bytes", at, len(entries))
	}
	return int32(binary.NativeEndian.Uint32(entries[at:])) == policyAccept, nil
}

// getsockopt fills a buffer whose beginning says what is asked for.
func getsockopt(fd, level, option int, buffer []byte) error {
	size := uint32(len(buffer))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&buffer[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
