package stage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

func TestOutput(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	f.plan.Setups[0].Stages[0].Steps = []stage.Step{command{"flood"}}
	const lines = 5000
	f.machines["gw"].Handle("flood", func(_ context.Context, p *stagetest.Proc) error {
		p.Printf("\x1b[31mred\x1b[0m \x00\xff\x1b]0;title\x07end\n50%%\r100%%\n")
		p.Printf("%s\n", strings.Repeat("x", 200_000))
		for i := range lines {
			p.Printf("line %d\n", i)
		}
		p.Printf("not ended")
		return stagetest.ExitError(1)
	})
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	var e *stage.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v", err)
	}
	if len(e.Output) != 20 || e.Output[19] != "not ended" || e.Output[0] != fmt.Sprintf("line %d", lines-19) {
		t.Errorf("last lines: %q", e.Output)
	}
	events := f.kinds(stage.EventOutput)
	if events[0].Text != "red ··end" || events[1].Text != "100%" {
		t.Errorf("as shown: %q, %q", events[0].Text, events[1].Text)
	}
	log, err := os.ReadFile(e.Log)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(log, []byte("\x1b[31mred\x1b[0m \x00\xff")) || bytes.Count(log, []byte("x")) != 200_000 || !bytes.HasSuffix(log, []byte("not ended")) {
		t.Errorf("the log does not have the whole output: %d bytes", len(log))
	}
}
