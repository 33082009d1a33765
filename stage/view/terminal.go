package view

import (
	"os"
	"syscall"
	"unsafe"
)

// winsize is struct winsize of ioctl_tty(2).
type winsize struct{ rows, cols, x, y uint16 }

// isTerminal reports whether f has a window size, which only terminals have.
func isTerminal(f *os.File) bool {
	_, ok := window(f)
	return ok
}

// size returns the terminal's size, or the usual one if it does not say.
func size(f *os.File) (cols, rows int) {
	w, ok := window(f)
	if !ok || w.cols == 0 || w.rows == 0 {
		return 80, 24
	}
	return int(w.cols), int(w.rows)
}

func window(f *os.File) (w winsize, ok bool) {
	conn, err := f.SyscallConn()
	if err != nil {
		return w, false
	}
	err = conn.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&w)))
		ok = errno == 0
	})
	return w, ok && err == nil
}
