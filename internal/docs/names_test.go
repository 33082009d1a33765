package docs_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// libraries are the packages that the guide speaks of, by the names that it gives them.
var libraries = map[string]string{
	"nspawn": "nspawn", "nspawntest": "nspawn/nspawntest", "netsetup": "netsetup",
	"snapshot": "snapshot", "snapshottest": "snapshot/snapshottest",
	"archboot": "archboot", "archtest": "archboot/archtest", "alpm": "archboot/archtest/alpm",
	"stage": "stage", "step": "stage/step", "check": "stage/check", "cli": "stage/cli", "stagetest": "stage/stagetest",
	"view": "stage/view", "report": "stage/report",
	"rigtest": "rigtest",
}

var goName = regexp.MustCompile(`^(?:([a-z]+)\.)?([A-Z]\w*(?:\.[A-Z]\w*)?)$`)

// TestNames fails for a name of Go in the text that is none, or no longer.
func TestNames(t *testing.T) {
	t.Parallel()
	known, anywhere := map[string]map[string]bool{}, map[string]bool{}
	for name, dir := range libraries {
		known[name] = declarations(t, dir)
		maps.Copy(anywhere, known[name])
	}
	names := 0
	for page, text := range pages(t) {
		if filepath.Base(page) == "CHANGELOG.md" {
			continue // of what was, too
		}
		for _, match := range inline.FindAllStringSubmatch(prose(text), -1) {
			name := goName.FindStringSubmatch(match[1])
			switch {
			case name == nil:
			case known[name[1]] != nil:
				names++
				if !known[name[1]][name[2]] {
					t.Errorf("%s: there is no %s", page, match[1])
				}
			case name[1] == "" && strings.Contains(name[2], "."):
				names++
				if !anywhere[name[2]] {
					t.Errorf("%s: no package has %s", page, match[1])
				}
			}
		}
	}
	t.Logf("%d names", names)
	if names == 0 {
		t.Error("no name found at all")
	}
}

var docLink = regexp.MustCompile(`(?m)^[^\t]*\[\*?(?:([a-z]+)\.)?([A-Z]\w*(?:\.[A-Z]\w*)?)\]( sections?)?`)

// TestDocLinks fails for a link in the documentation of a package to a name that is
// none, or no longer: what is in brackets would be printed so.
func TestDocLinks(t *testing.T) {
	t.Parallel()
	known, links := map[string]map[string]bool{}, 0
	for name, dir := range libraries {
		known[name] = declarations(t, dir)
	}
	for name, dir := range libraries {
		for path, file := range sources(t, dir) {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			for _, comment := range file.Comments {
				for _, match := range docLink.FindAllStringSubmatch(comment.Text(), -1) {
					if match[3] != "" {
						continue // of a file with settings
					}
					of := cmp.Or(match[1], name)
					links++
					if known[of] != nil && !known[of][match[2]] {
						t.Errorf("%s: there is no %s.%s", path, of, match[2])
					}
				}
			}
		}
	}
	t.Logf("%d links", links)
	if links == 0 {
		t.Error("no link found at all")
	}
}

// TestExamples fails for a package whose documentation has no example.
func TestExamples(t *testing.T) {
	t.Parallel()
	for name, dir := range libraries {
		isExample := func(name string) bool { return strings.HasPrefix(name, "Example") }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(declarations(t, dir))), isExample) {
			t.Errorf("package %s has no example", name)
		}
	}
}

// declarations lists what a package and its tests declare, methods and fields by
// TYPE.NAME.
func declarations(t *testing.T, dir string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, file := range sources(t, dir) {
		for _, decl := range file.Decls {
			declared(decl, found)
		}
	}
	return found
}

// sources parses the files of a package and its tests.
func sources(t *testing.T, dir string) map[string]*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(top, dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no source in %s: %v", dir, err)
	}
	files := map[string]*ast.File{}
	for _, path := range paths {
		if files[path], err = parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func declared(decl ast.Decl, found map[string]bool) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		name := decl.Name.Name
		if decl.Recv != nil {
			receiver := decl.Recv.List[0].Type
			if pointer, ok := receiver.(*ast.StarExpr); ok {
				receiver = pointer.X
			}
			if of, ok := receiver.(*ast.Ident); ok {
				name = of.Name + "." + name
			}
		}
		found[name] = true
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					found[name.Name] = true
				}
			case *ast.TypeSpec:
				found[spec.Name.Name] = true
				ast.Inspect(spec.Type, func(n ast.Node) bool {
					if field, ok := n.(*ast.Field); ok {
						for _, name := range field.Names {
							found[spec.Name.Name+"."+name.Name] = true
						}
					}
					return true
				})
			}
		}
	}
}
