package stage

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// identity is what tells a changed file from an unchanged one without reading it.
// The change time is there because a modification time can be set at will.
type identity struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds
}

func identify(info fs.FileInfo) identity {
	id := identity{size: info.Size(), mtime: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		id.dev, id.ino, id.ctime = uint64(st.Dev), st.Ino, st.Ctim.Nano()
	}
	return id
}

// settled is the age below which a file is never taken from the cache: two changes
// within one tick of the file system's clock look the same.
const settled = 2 * time.Second

// hashCache remembers hashes of files by path. A damaged or missing file of it only
// costs time. It may be used concurrently.
type hashCache struct {
	file string // "" keeps the cache in memory

	mu      sync.Mutex
	entries map[string]cached
	dirty   bool
}

type cached struct {
	identity
	sum  string
	used bool // since it was loaded
}

const hashCacheHeader = "rig hashes 1\n"

func loadHashCache(file string) *hashCache {
	c := &hashCache{file: file, entries: map[string]cached{}}
	data, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(data, []byte(hashCacheHeader)) {
		return c
	}
	lines := bufio.NewScanner(bytes.NewReader(data[len(hashCacheHeader):]))
	for lines.Scan() {
		var e cached
		var path string
		_, err := fmt.Sscanf(lines.Text(), "%d %d %d %d %d %s %q",
			&e.dev, &e.ino, &e.size, &e.mtime, &e.ctime, &e.sum, &path)
		if err == nil && len(e.sum) == 64 {
			c.entries[path] = e
		}
	}
	return c
}

func (c *hashCache) get(path string, info fs.FileInfo) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[path]
	if !ok || e.identity != identify(info) {
		return "", false
	}
	e.used = true
	c.entries[path] = e
	return e.sum, true
}

func (c *hashCache) put(path string, info fs.FileInfo, sum string) {
	id := identify(info)
	now := time.Now().UnixNano()
	if now-id.mtime < int64(settled) || now-id.ctime < int64(settled) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[path] = cached{id, sum, true}
	c.dirty = true
}

// save writes the cache if it changed, without what nobody asked for: files that are no
// input any more.
func (c *hashCache) save() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dirty || c.file == "" {
		return nil
	}
	var b strings.Builder
	b.WriteString(hashCacheHeader)
	for _, path := range slices.Sorted(maps.Keys(c.entries)) {
		e := c.entries[path]
		if !e.used {
			continue
		}
		fmt.Fprintf(&b, "%d %d %d %d %d %s %q\n", e.dev, e.ino, e.size, e.mtime, e.ctime, e.sum, path)
	}
	if err := os.MkdirAll(filepath.Dir(c.file), 0o755); err != nil {
		return err
	}
	c.dirty = false
	// Not flushed: what a power cut spoils is computed again.
	return replaceFile(c.file, []byte(b.String()), 0o644, func(*os.File) error { return nil })
}
