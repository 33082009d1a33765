package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const top = "../.."

// pages returns the text of every Markdown file of the project by its path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == ".git") {
			return fs.SkipDir
		}
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		found[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	unkept  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns what a page's headings are linked by.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		name := unkept.ReplaceAllString(strings.ToLower(match[1]), "")
		found[strings.ReplaceAll(name, " ", "-")] = true
	}
	return found
}

func TestLinks(t *testing.T) {
	t.Parallel()
	texts := pages(t)
	links := 0
	for page, text := range texts {
		for _, match := range link.FindAllStringSubmatch(prose(text), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			links++
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s links to %s: %v", page, match[1], err)
			} else if anchor != "" && filepath.Ext(path) == ".md" && !anchors(texts[path])[anchor] {
				t.Errorf("%s links to %s: no such heading", page, match[1])
			}
		}
	}
	if links == 0 {
		t.Error("no link found at all")
	}
}

// TestReachable fails for a page of the guide that no other page links to.
func TestReachable(t *testing.T) {
	t.Parallel()
	texts := pages(t)
	linked := map[string]bool{filepath.Join(top, "README.md"): true}
	for page, text := range texts {
		for _, match := range link.FindAllStringSubmatch(prose(text), -1) {
			target, _, _ := strings.Cut(match[1], "#")
			linked[filepath.Join(filepath.Dir(page), target)] = true
		}
	}
	for page := range texts {
		if !linked[page] {
			t.Errorf("nothing links to %s", page)
		}
	}
}

var block = regexp.MustCompile("(?ms)^```.*?^```$")

// prose is a page without its fenced blocks.
func prose(text string) string { return block.ReplaceAllString(text, "") }
