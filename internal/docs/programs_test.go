package docs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?ms)^```go\n(package .*?)^```$")

// TestPrograms compiles every block of Go in the guide that is a whole file.
func TestPrograms(t *testing.T) {
	t.Parallel()
	module, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	dir, programs := t.TempDir(), 0
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for page, text := range pages(t) {
		for i, match := range goBlock.FindAllStringSubmatch(text, -1) {
			programs++
			name := fmt.Sprintf("%s-%d", strings.TrimSuffix(filepath.Base(page), ".md"), i)
			file := filepath.Join(dir, name+".go")
			if err := os.WriteFile(file, []byte(match[1]), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("gofmt", "-l", file).CombinedOutput(); err != nil || len(out) != 0 {
				t.Errorf("%s: block %d is not as gofmt writes it: %s", page, i, out)
			}
			// Outside of the module's internal packages, as a reader's program is.
			base := "main.go"
			if strings.Contains(match[1], "func Test") {
				base = "main_test.go"
			}
			overlay.Replace[filepath.Join(module, "doc", "programs", name, base)] = file
		}
	}
	if programs == 0 {
		t.Fatal("no program found at all")
	}
	config := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"build", "-overlay", config, "-o", os.DevNull},
		{"test", "-overlay", config, "-o", dir + "/", "-c", "-vet=off"},
	} {
		compile := exec.Command("go", append(args, "./doc/programs/...")...)
		compile.Dir = module
		if out, err := compile.CombinedOutput(); err != nil {
			t.Errorf("%s: %v:\n%s", strings.Join(compile.Args, " "), err, out)
		}
	}
}
