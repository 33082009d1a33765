package stage_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

// TestDial plays bash: what it does with a connection, and what must come of it. As
// with os/exec, no command ends while its input is still being read.
func TestDial(t *testing.T) {
	t.Parallel()
	type play = func(ctx context.Context, p *stagetest.Proc) error
	for _, tt := range []struct {
		name string
		bash play
		err  string
	}{
		{"echo", func(_ context.Context, p *stagetest.Proc) error {
			p.Printf("+")
			_, err := io.Copy(p.Stdout, p.Stdin)
			return err
		}, ""},
		{"refused", func(_ context.Context, p *stagetest.Proc) error {
			p.Printf("bash: connect: Connection refused\nbash: line 1: /dev/tcp/x/1: Connection refused\n")
			return stagetest.ExitError(1)
		}, "connection refused"},
		{"no answer", func(ctx context.Context, p *stagetest.Proc) error {
			<-ctx.Done()
			return errors.New("signal: killed")
		}, context.DeadlineExceeded.Error()},
		{"no bash", func(context.Context, *stagetest.Proc) error { return stagetest.ExitError(127) }, "exit status 127"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, single("one"))
			f.machines["gw"].Handle("dial", func(ctx context.Context, p *stagetest.Proc) error {
				if strings.Join(p.Args, " ") != "dial tcp host 80" {
					t.Errorf("arguments %q", p.Args)
				}
				err := tt.bash(ctx, p)
				if stage.ExitCode(err) == 127 {
					return err // it never began
				}
				io.Copy(io.Discard, p.Stdin)
				return err
			})
			f.plan.Setups[0].Stages[0].Steps = []stage.Step{dials(tt.err)}
			f.run(stage.Steering{}, "gw/one")
		})
	}
}

// TestDeadlineOfDial moves the deadline while the connection is being closed.
func TestDeadlineOfDial(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	f.machines["gw"].Handle("dial", func(_ context.Context, p *stagetest.Proc) error {
		p.Printf("+")
		_, err := io.Copy(p.Stdout, p.Stdin)
		return err
	})
	f.plan.Setups[0].Stages[0].Steps = []stage.Step{deadlines{}}
	f.run(stage.Steering{}, "gw/one")
}

type deadlines struct{ command }

func (deadlines) Run(ctx context.Context, s *stage.Session) error {
	conn, err := s.Dial(ctx, "tcp", "host:80")
	if err != nil {
		return err
	}
	conn.SetDeadline(time.Now().Add(time.Hour))
	conn.SetDeadline(time.Time{})
	if _, err := io.WriteString(conn, "ping"); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
		return err
	}
	moved := make(chan error)
	go func() { moved <- conn.SetDeadline(time.Unix(1, 0)) }()
	return errors.Join(conn.Close(), <-moved)
}

// dials is a step that connects and expects an error with the given text, or an echo.
type dials string

func (d dials) String() string              { return "dial" }
func (d dials) Manual(string) []stage.Line  { return nil }
func (d dials) Ingredients(r *stage.Recipe) { r.Text("want", string(d)) }
func (d dials) Run(ctx context.Context, s *stage.Session) error {
	if string(d) == context.DeadlineExceeded.Error() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
	}
	conn, err := s.Dial(ctx, "tcp", "host:80")
	if d != "" {
		if op := (*net.OpError)(nil); !errors.As(err, &op) || !strings.Contains(err.Error(), string(d)) {
			return errors.Join(errors.New("unexpected"), err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "ping"); err != nil {
		return err
	}
	buf := make([]byte, 4)
	_, err = io.ReadFull(conn, buf)
	if err == nil && string(buf) != "ping" {
		err = errors.New("no echo")
	}
	return err
}
