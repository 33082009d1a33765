package nspawn_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
)

// TestFreezeUninterruptible freezes a machine in which a process waits for a file system
// that does not answer.
func TestFreezeUninterruptible(t *testing.T) {
	t.Parallel()
	privileged(t)
	slow := mountSlow(t)
	inPart := &listener{message: "freeze: the machine goes on for a moment", heard: slow.answer}
	host := openHost(t, nspawn.HostOptions{Launcher: nspawn.LauncherDirect, Logger: slog.New(inPart)})
	m := boot(t, host, nspawn.Config{Binds: []nspawn.Bind{{Source: slow.dir, Target: "/mnt"}}})
	ctx := testContext(t)
	waits := m.Command(ctx, "stat", "/mnt/file")
	if err := waits.Start(); err != nil {
		t.Fatal(err)
	}
	<-slow.asked
	// Until the process has noticed the first attempt, its wait can be interrupted.
	err := m.FreezeWithin(ctx, time.Nanosecond)
	for errors.Is(err, nspawn.ErrBusy) && !strings.Contains(err.Error(), "uninterruptibly: stat (") {
		err = m.FreezeWithin(ctx, 10*time.Millisecond)
	}
	if !errors.Is(err, nspawn.ErrBusy) {
		t.Errorf("frozen, although a process is not: %v", err)
	}
	if out := shell(t, m, "echo goes on"); out != "goes on" {
		t.Errorf("the machine does not go on: %q", out)
	}
	// The answer comes when the machine goes on after the first attempt.
	inPart.listen()
	if err := m.FreezeWithin(ctx, time.Millisecond, time.Minute); err != nil {
		t.Error(err)
	}
	if err := m.Thaw(ctx); err != nil {
		t.Error(err)
	}
	if err := waits.Wait(); err == nil {
		t.Error("there is a file")
	}
}

// A listener calls heard once a message is logged after listen.
type listener struct {
	message string
	heard   func()
	once    sync.Once
	mu      sync.Mutex
	on      bool
}

func (l *listener) listen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = true
}

func (l *listener) Enabled(context.Context, slog.Level) bool { return true }
func (l *listener) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *listener) WithGroup(string) slog.Handler            { return l }

func (l *listener) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.on && r.Message == l.message {
		l.once.Do(l.heard)
	}
	return nil
}

// slow is a file system, fuse(4), that keeps whoever looks for a file in it waiting.
type slow struct {
	dir    string
	device *os.File
	asked  chan struct{} // closed when somebody looks
	answer func()        // lets him know that there is none
}

func mountSlow(t *testing.T) *slow {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no FUSE: ", err)
	}
	s := &slow{dir: t.TempDir(), device: os.NewFile(uintptr(fd), "/dev/fuse"), asked: make(chan struct{})}
	answered := make(chan struct{})
	s.answer = sync.OnceFunc(func() { close(answered) })
	if err := unix.Mount("slow", s.dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)); err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.serve(answered)
	}()
	t.Cleanup(func() {
		s.answer()
		if err := unix.Unmount(s.dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		<-served
	})
	return s
}

// Requests, their length and the place of their number and kind, as in linux/fuse.h.
const (
	fuseLookup      = 1
	fuseForget      = 2
	fuseGetattr     = 3
	fuseInit        = 26
	fuseInterrupt   = 36
	fuseBatchForget = 42
)

// serve ends when the file system has been unmounted.
func (s *slow) serve(answered <-chan struct{}) {
	defer s.device.Close()
	var waiting sync.WaitGroup
	defer waiting.Wait()
	looked := sync.OnceFunc(func() { close(s.asked) })
	buf := make([]byte, 1<<17)
	for {
		n, err := unix.Read(int(s.device.Fd()), buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil || n < 16 {
			return
		}
		kind, number := binary.NativeEndian.Uint32(buf[4:]), binary.NativeEndian.Uint64(buf[8:])
		switch kind {
		case fuseForget, fuseBatchForget, fuseInterrupt: // take no answer
		case fuseInit:
			s.reply(number, 0, binary.NativeEndian.AppendUint32([]byte{7, 0, 0, 0}, 31), 64)
		case fuseGetattr:
			attr := binary.NativeEndian.AppendUint32(make([]byte, 16+60), unix.S_IFDIR|0o755)
			s.reply(number, 0, attr, 16+88)
		case fuseLookup:
			looked()
			waiting.Go(func() {
				<-answered
				s.reply(number, unix.ENOENT, nil, 0)
			})
		default:
			s.reply(number, unix.ENOSYS, nil, 0)
		}
	}
}

// reply answers with data that is filled up with zeros.
func (s *slow) reply(number uint64, errno unix.Errno, data []byte, length int) {
	answer := binary.NativeEndian.AppendUint32(nil, uint32(16+length))
	answer = binary.NativeEndian.AppendUint32(answer, uint32(-int32(errno)))
	answer = binary.NativeEndian.AppendUint64(answer, number)
	answer = append(append(answer, data...), make([]byte, length-len(data))...)
	_, _ = unix.Write(int(s.device.Fd()), answer)
}
