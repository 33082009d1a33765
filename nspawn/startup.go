package nspawn

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// Startup is what a machine was busy with when the patience for its start-up
// ended.
type Startup struct {
	Failed  []string   // units that have failed
	Pending []string   // units that are being started or stopped
	Slowest []UnitTime // units that took longest so far, the worst first
	Journal []string   // the last lines of the journal
	Err     error      // why something of this could not be found out
}

// UnitTime is how long a unit took to start, or has been starting.
type UnitTime struct {
	Unit string
	Took time.Duration
}

const (
	slowestUnits = 5
	journalLines = 10

	// reportPatience bounds how long an error is held up to find out more about it.
	reportPatience = 5 * time.Second
)

// startup asks the machine's service manager and its journal.
func (m *Machine) startup(ctx context.Context) *Startup {
	s := &Startup{}
	s.Err = m.withBus(ctx, "ask the service manager", func(b *bus) error {
		units, err := b.units(ctx)
		if err != nil {
			return err
		}
		for _, u := range units {
			if u.Active == "failed" {
				s.Failed = append(s.Failed, u.Name)
			}
			if u.JobID != 0 && u.Active != "inactive" {
				s.Pending = append(s.Pending, u.Name+": "+u.JobType+" is not done")
			}
		}
		s.Slowest, err = b.slowest(ctx, units)
		return err
	})
	s.Journal = m.journalTail(ctx, JournalOptions{Lines: journalLines, ThisBoot: true})
	return s
}

// journalTail is the end of the journal for people, as far as it can be read.
func (m *Machine) journalTail(ctx context.Context, options JournalOptions) (lines []string) {
	for entry, err := range m.Journal(ctx, options) {
		if err != nil {
			break
		}
		lines = append(lines, printable(orDefault(entry.Identifier, "kernel")+": "+entry.Message))
	}
	return lines
}

// String is the report for people, a line for each thing.
func (s *Startup) String() string {
	var b strings.Builder
	for _, name := range s.Failed {
		fmt.Fprintf(&b, "\n\t%s has failed", name)
	}
	for _, job := range s.Pending {
		fmt.Fprintf(&b, "\n\t%s", job)
	}
	for i, u := range s.Slowest {
		if i == 0 {
			b.WriteString("\nslowest units:")
		}
		fmt.Fprintf(&b, "\n\t%v %s", u.Took.Round(time.Millisecond), u.Unit)
	}
	if len(s.Journal) > 0 {
		b.WriteString("\nlast lines of its journal:\n\t" + strings.Join(s.Journal, "\n\t"))
	}
	if s.Err != nil {
		fmt.Fprintf(&b, "\nno answer from its service manager: %v", s.Err)
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// listedUnit is a unit as ListUnits has it.
type listedUnit struct {
	Name, Description, Load, Active, Sub, Following string
	Path                                            dbus.ObjectPath
	JobID                                           uint32
	JobType                                         string
	JobPath                                         dbus.ObjectPath
}

func (b *bus) units(ctx context.Context) (units []listedUnit, err error) {
	err = b.manager(ctx, "ListUnits").Store(&units)
	return units, err
}

// slowest finds the units that took longest to start. One that is still starting
// counts until now.
func (b *bus) slowest(ctx context.Context, units []listedUnit) ([]UnitTime, error) {
	var clock unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &clock); err != nil {
		return nil, err
	}
	now := uint64(clock.Nano() / 1000)
	// All are asked for before the first answer is waited for.
	calls := make(map[string]*dbus.Call, len(units))
	for _, u := range units {
		if u.Active == "active" || u.Active == "activating" {
			calls[u.Name] = b.conn.Object(systemdName, u.Path).GoWithContext(ctx, propsIface+".GetAll", 0, nil, unitIface)
		}
	}
	var times []UnitTime
	for _, u := range units {
		call := calls[u.Name]
		if call == nil {
			continue
		}
		var all map[string]dbus.Variant
		if err := (<-call.Done).Store(&all); err != nil {
			return nil, err
		}
		begin, end := property[uint64](all, "InactiveExitTimestampMonotonic"), property[uint64](all, "ActiveEnterTimestampMonotonic")
		if u.Active == "activating" {
			end = now
		}
		if begin > 0 && end > begin {
			times = append(times, UnitTime{u.Name, time.Duration(end-begin) * time.Microsecond})
		}
	}
	slices.SortFunc(times, func(a, b UnitTime) int { return cmp.Compare(b.Took, a.Took) })
	return times[:min(len(times), slowestUnits)], nil
}
