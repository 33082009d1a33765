package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/prologin/rig/internal/tempdir"
)

// Config describes a virtual machine that boots over the network.
type Config struct {
	// Tap is the name of its interface on the host, which must not exist, and Bridge
	// that of the bridge to wire it to.
	Tap, Bridge string
	// MAC is the hardware address of its network card.
	MAC string
	// Memory is its size in MiB; 0 is 512.
	Memory int
	// Console gets what the machine writes to its serial line, with its escape
	// sequences; firmware and boot ROM are heard there, too. May be nil.
	Console io.Writer
}

// Machine is a virtual machine. Its methods may be called concurrently, but those
// that talk to QEMU's monitor wait for each other.
type Machine struct {
	console *console
	monitor *monitor
	cmd     *exec.Cmd
	dir     *tempdir.Dir
	done    chan struct{} // closed when QEMU has ended, err being why
	err     error
}

// dirPrefix begins the names of the directories of machines' monitors.
const dirPrefix = "rig-qemu-"

// Start starts a machine and returns once QEMU answers. It needs root. The machine
// ends with [Machine.Close], with this program, or by itself; the end of ctx ends only
// the wait.
func Start(ctx context.Context, c Config) (_ *Machine, err error) {
	tap, err := openTap(c.Tap, c.Bridge)
	if err != nil {
		return nil, err
	}
	defer tap.Close()                          // QEMU has its own
	_ = tempdir.Sweep(dirPrefix, os.RemoveAll) // those of killed programs are no concern of this machine
	dir, err := tempdir.Make(dirPrefix)
	if err != nil {
		return nil, err
	}
	m := &Machine{console: newConsole(c.Console), dir: dir, done: make(chan struct{})}
	socket := filepath.Join(dir.Path, "monitor")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, errors.Join(err, dir.Remove())
	}
	defer listener.Close()
	m.cmd = exec.Command("qemu-system-x86_64", c.arguments(socket)...)
	m.cmd.ExtraFiles = []*os.File{tap}
	m.cmd.Stdout, m.cmd.Stderr = m.console, m.console
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go m.run(started)
	if err := <-started; err != nil {
		return nil, errors.Join(err, dir.Remove())
	}
	if m.monitor, err = m.accept(ctx, listener); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// arguments describe the machine to QEMU. The tap is descriptor 3. Without graphics
// as such but with a screen, the firmware writes to both the screen and the serial
// line.
func (c Config) arguments(socket string) []string {
	memory := c.Memory
	if memory == 0 {
		memory = 512
	}
	accel, cpu := Accelerator()
	return []string{
		"-nodefaults", "-no-user-config", "-machine", "pc,graphics=off", "-accel", accel, "-cpu", cpu, "-m", strconv.Itoa(memory),
		"-display", "none", "-vga", "std", "-serial", "stdio", "-boot", "n",
		"-netdev", "tap,id=lan,fd=3", "-device", "virtio-net-pci,netdev=lan,mac=" + c.MAC,
		"-device", "virtio-rng-pci",
		"-chardev", "socket,id=monitor,path=" + socket, "-mon", "chardev=monitor,mode=control",
	}
}

// startPatience is how long QEMU may take to connect to its monitor.
const startPatience = 30 * time.Second

func (m *Machine) accept(ctx context.Context, l *net.UnixListener) (*monitor, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, errors.New("QEMU does not open its monitor"))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	go func() {
		select {
		case <-m.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	monitor, err := m.greet(ctx, l)
	switch {
	case err == nil:
		return monitor, nil
	case m.hasEnded():
		return nil, fmt.Errorf("QEMU ended at once: %w; it said: %s", m.err, m.console.tail())
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, err
}

func (m *Machine) greet(ctx context.Context, l *net.UnixListener) (*monitor, error) {
	conn, err := l.Accept()
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	monitor, err := newMonitor(conn)
	if err != nil {
		conn.Close()
	}
	return monitor, err
}

func (m *Machine) hasEnded() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// run starts QEMU, tells of it and waits for its end, all on one thread: QEMU is killed
// with the thread that started it, which is to end with this program and not before.
func (m *Machine) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := m.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	m.err = m.cmd.Wait()
	m.console.close()
	close(m.done)
}

// Close ends the machine at once and returns when nothing of it is left.
func (m *Machine) Close() error {
	err := m.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-m.done
	if m.monitor != nil {
		err = errors.Join(err, m.monitor.Close())
	}
	return errors.Join(err, m.dir.Remove())
}

// Expect waits until the machine has written a text to its console since the last
// text that was waited for. It looks at what can be read, escape sequences left out.
// If ctx ends before or the machine does, the error has the last lines.
func (m *Machine) Expect(ctx context.Context, text string) error {
	return m.console.expect(ctx, text)
}

// Screenshot writes a picture of the machine's screen to a file, as PNG.
func (m *Machine) Screenshot(file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	return m.monitor.do("screendump", map[string]any{"filename": file, "format": "png"})
}

// Type presses the keys of a text of small letters, digits, '-', '.' and newlines, one
// after another: QEMU queues them.
func (m *Machine) Type(text string) error {
	for _, r := range text {
		key := string(r)
		switch r {
		case '\n':
			key = "ret"
		case '-':
			key = "minus"
		case '.':
			key = "dot"
		}
		press := map[string]any{"keys": []any{map[string]any{"type": "qcode", "data": key}}, "hold-time": 20}
		if err := m.monitor.do("send-key", press); err != nil {
			return err
		}
	}
	return nil
}
