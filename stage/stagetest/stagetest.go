// Package stagetest has machines and volumes to test plans with, without privileges
// and in milliseconds, and conformance tests for real ones.
//
// A [Machine] runs no real programs but those of a small set of its own, on the tree
// of its [Volume], which is a directory. Both can be told to fail.
package stagetest

import (
	"fmt"
	"sync"
)

// Faults makes the methods of what it is part of fail. The zero value has none. It may
// be used concurrently.
type Faults struct {
	mu    sync.Mutex
	rules []*fault
}

type fault struct {
	op    string
	after int
	err   error
	hook  func()
}

// Fail makes the named method, such as "Save", return err once, after it has worked
// skip times.
func (f *Faults) Fail(method string, skip int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &fault{op: method, after: skip, err: err})
}

// Call calls hook once at the beginning of the named method, after it has been called
// skip times.
func (f *Faults) Call(method string, skip int, hook func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &fault{op: method, after: skip, hook: hook})
}

// hit is called by every method at its beginning.
func (f *Faults) hit(method string) error {
	f.mu.Lock()
	var due []*fault
	kept := f.rules[:0]
	for _, r := range f.rules {
		if r.op != method {
			kept = append(kept, r)
			continue
		}
		if r.after--; r.after < 0 {
			due = append(due, r)
		} else {
			kept = append(kept, r)
		}
	}
	f.rules = kept
	f.mu.Unlock()
	for _, r := range due {
		if r.hook != nil {
			r.hook()
		}
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

// ExitError is the error of a program that failed.
type ExitError int

// Error returns "exit status N".
func (e ExitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// ExitCode returns the status.
func (e ExitError) ExitCode() int { return int(e) }
