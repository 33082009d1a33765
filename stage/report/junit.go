package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The elements and attributes that JUnit's consumers agree on.
type (
	suites struct {
		XMLName  xml.Name `xml:"testsuites"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Skipped  int      `xml:"skipped,attr"`
		Time     string   `xml:"time,attr"`
		Suites   []suite  `xml:"testsuite"`
	}
	suite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Time     string     `xml:"time,attr"`
		Stamp    string     `xml:"timestamp,attr"`
		Cases    []testcase `xml:"testcase"`
	}
	testcase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		Time    string   `xml:"time,attr"`
		Failure *message `xml:"failure,omitempty"`
		Skipped *message `xml:"skipped,omitempty"`
		Output  string   `xml:"system-out,omitempty"`
	}
	message struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the run as JUnit XML: a suite for each machine, a case for each stage.
// A cached stage has passed, in no time; one that was skipped, not wanted, or not tried
// because of another's failure is skipped. What failed in no stage, such as the start of a
// machine, is a case named "run" in a suite of its own.
func (r *Recorder) JUnit(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := suites{Name: r.run.Name, Time: seconds(r.run.End.Sub(r.run.Begin))}
	for _, m := range r.run.Machines {
		s := suite{Name: m.Name, Stamp: r.run.Begin.UTC().Format(stampFormat)}
		var total time.Duration
		for _, st := range m.Stages {
			c := st.testcase()
			if c.Failure != nil {
				s.Failures++
			}
			if c.Skipped != nil {
				s.Skipped++
			}
			s.Tests++
			s.Cases = append(s.Cases, c)
			total += st.elapsed()
		}
		s.Time = seconds(total)
		all.add(s)
	}
	if r.run.Err != "" && all.Failures == 0 {
		all.add(r.run.failure())
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (all *suites) add(s suite) {
	all.Tests, all.Failures, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Skipped+s.Skipped
	all.Suites = append(all.Suites, s)
}

// failure is the suite of a run that failed in none of its stages.
func (r *run) failure() suite {
	first, _, _ := strings.Cut(r.Err, "\n")
	c := testcase{Name: "run", Class: r.Name, Time: seconds(0), Failure: &message{first, r.Err}}
	return suite{Name: r.Name, Tests: 1, Failures: 1, Time: c.Time, Stamp: r.Begin.UTC().Format(stampFormat), Cases: []testcase{c}}
}

func (s *stageRun) testcase() testcase {
	c := testcase{Name: s.Name, Class: s.Machine, Time: seconds(s.elapsed()), Output: strings.Join(s.Output, "\n")}
	first, _, _ := strings.Cut(s.Err, "\n")
	switch s.Status {
	case "failed":
		c.Failure = &message{first, s.Err}
	case "running":
		c.Failure = &message{Message: "the run ended in the middle of it"}
	case "blocked":
		c.Skipped = &message{Message: "not tried: " + first}
	case "skipped", "not wanted", "waiting":
		c.Skipped = &message{Message: strings.TrimSuffix(s.Status+": "+s.Why, ": ")}
	}
	return c
}

func (s *stageRun) elapsed() time.Duration {
	if s.End.IsZero() {
		return 0
	}
	return s.End.Sub(s.Begin)
}

const stampFormat = "2006-01-02T15:04:05"

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
