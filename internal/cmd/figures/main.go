// Figures prints what doc/design.md says of the house in figures: how long files and
// functions are, how many names a package exports and how many of them are documented.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: figures DIR")
		os.Exit(2)
	}
	f := figures{exported: map[string]int{}}
	if err := f.walk(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
	f.print()
}

// figures are lines, but for the names that each public package exports.
type figures struct {
	files, functions []measure
	tests, comments  int
	exported         map[string]int
	names            int
	undocumented     []string
}

type measure struct {
	name  string
	lines int
}

// walk reads all Go files below dir, but for those in testdata.
func (f *figures) walk(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "testdata":
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		return f.read(path)
	})
}

func (f *figures) read(path string) error {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	lines := fset.File(file.FileStart).LineCount()
	if strings.HasSuffix(path, "_test.go") {
		f.tests += lines
		return nil
	}
	f.files = append(f.files, measure{path, lines})
	for _, group := range file.Comments {
		f.comments += fset.Position(group.End()).Line - fset.Position(group.Pos()).Line + 1
	}
	pkg := filepath.Dir(path)
	public := file.Name.Name != "main" && !strings.Contains("/"+filepath.ToSlash(pkg)+"/", "/internal/") && !strings.Contains(filepath.ToSlash(pkg), "examples/")
	for _, d := range file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			size := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
			f.functions = append(f.functions, measure{path + " " + fn.Name.Name, size})
		}
		if public {
			f.count(pkg, d)
		}
	}
	return nil
}

// count takes the exported names of a declaration into account.
func (f *figures) count(pkg string, d ast.Decl) {
	name := func(name string, docs ...*ast.CommentGroup) {
		if !ast.IsExported(name) {
			return
		}
		f.exported[pkg]++
		f.names++
		if !slices.ContainsFunc(docs, func(doc *ast.CommentGroup) bool { return doc != nil }) {
			f.undocumented = append(f.undocumented, pkg+"."+name)
		}
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil || exportedReceiver(d.Recv) {
			name(d.Name.Name, d.Doc)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				name(s.Name.Name, s.Doc, d.Doc)
			case *ast.ValueSpec:
				for _, ident := range s.Names {
					name(ident.Name, s.Doc, s.Comment, d.Doc)
				}
			}
		}
	}
}

func exportedReceiver(receiver *ast.FieldList) bool {
	expr := receiver.List[0].Type
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	if index, ok := expr.(*ast.IndexExpr); ok {
		expr = index.X
	}
	ident, ok := expr.(*ast.Ident)
	return ok && ident.IsExported()
}

func (f *figures) print() {
	byLines := func(a, b measure) int { return a.lines - b.lines }
	slices.SortFunc(f.files, byLines)
	slices.SortFunc(f.functions, byLines)
	at := func(list []measure, part float64) int { return list[int(part*float64(len(list)-1))].lines }
	fmt.Println("| | files | file median / max | function median / p95 / max | exported names a package | documented |")
	fmt.Printf("| rig | %d | %d / %d | %d / %d / %d | %d | %d %% |\n\n", len(f.files), at(f.files, 0.5), at(f.files, 1),
		at(f.functions, 0.5), at(f.functions, 0.95), at(f.functions, 1), f.names/len(f.exported), 100*(f.names-len(f.undocumented))/f.names)
	code := 0
	for _, file := range f.files {
		code += file.lines
	}
	fmt.Printf("lines: %d, of which comments %d %%; tests %d (%.2f a line)\n", code, 100*f.comments/code, f.tests, float64(f.tests)/float64(code))
	for _, list := range [][]measure{f.files, f.functions} {
		for _, m := range list[len(list)-5:] {
			fmt.Printf("%6d  %s\n", m.lines, m.name)
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(f.exported)) {
		fmt.Printf("%6d  names in %s\n", f.exported[pkg], pkg)
	}
}
