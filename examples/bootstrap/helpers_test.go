package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// silentServer takes requests and never answers. The channel is closed when the
// first one is there.
func silentServer(t *testing.T) (server string, reached <-chan struct{}) {
	t.Helper()
	first, over := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once.Do(func() { close(first) })
		<-over
	}))
	t.Cleanup(func() { close(over); s.Close() })
	return s.URL + "/$repo", first
}

// inNamespaceOf lists the processes that have something mounted in the root.
func inNamespaceOf(root string) []string {
	var list []string
	all, _ := filepath.Glob("/proc/[0-9]*/mountinfo")
	for _, p := range all {
		if data, err := os.ReadFile(p); err == nil && bytes.Contains(data, []byte(root+"/")) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(p), "cmdline"))
			list = append(list, string(line))
		}
	}
	return list
}

// awaitNobody waits for the kernel to be through with killing: the death of a
// process that is no child of ours tells us nothing.
func awaitNobody(t *testing.T, root string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		left := inNamespaceOf(root)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still at work in the root: %q", left)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
