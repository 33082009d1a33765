// Package api renders the exported declarations of a package, so that a change of
// what this module promises shows up in a file under review.
package api

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Render returns the exported declarations of the package in dir as Go source
// without comments and bodies, one to a paragraph, sorted, each method after its
// type.
func Render(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	fset := token.NewFileSet()
	var decls []decl
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return "", err
		}
		if ast.FileExports(file); file.Name.Name == "main" {
			return "", fmt.Errorf("%s: a command has no API: %w", dir, os.ErrInvalid)
		}
		for _, d := range file.Decls {
			if decls, err = appendDecl(decls, fset, d); err != nil {
				return "", err
			}
		}
	}
	slices.SortFunc(decls, func(a, b decl) int { return strings.Compare(a.key, b.key) })
	var out strings.Builder
	for i, d := range decls {
		// Files for other systems declare the same name again.
		if i == 0 || decls[i-1] != d {
			out.WriteString(d.text + "\n")
		}
	}
	return out.String(), nil
}

type decl struct{ key, text string }

func appendDecl(decls []decl, fset *token.FileSet, d ast.Decl) ([]decl, error) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv != nil && !ast.IsExported(receiver(d)) {
			return decls, nil
		}
		d.Doc, d.Body = nil, nil
		text, err := source(fset, d)
		return append(decls, decl{funcKey(d), text}), err
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if d.Tok == token.IMPORT {
				continue
			}
			text, err := source(fset, &ast.GenDecl{Tok: d.Tok, Specs: []ast.Spec{bare(spec)}})
			if err != nil {
				return nil, err
			}
			decls = append(decls, decl{specKey(d.Tok, spec), text})
		}
	}
	return decls, nil
}

func source(fset *token.FileSet, node any) (string, error) {
	var buf bytes.Buffer
	err := printer.Fprint(&buf, fset, node)
	var lines []string
	for line := range strings.Lines(buf.String()) {
		if strings.TrimSpace(line) != "" {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return strings.Join(lines, "\n"), err
}

// bare drops the comments of a declaration and the values of constants and
// variables, which are documentation's matter.
func bare(spec ast.Spec) ast.Spec {
	ast.Inspect(spec, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok {
			f.Doc, f.Comment = nil, nil
		}
		return true
	})
	switch s := spec.(type) {
	case *ast.TypeSpec:
		s.Doc, s.Comment = nil, nil
	case *ast.ValueSpec:
		s.Doc, s.Comment, s.Values = nil, nil, nil
	}
	return spec
}

// The keys put constants, variables and functions before types, and a type's
// methods after it.
func specKey(tok token.Token, spec ast.Spec) string {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		return "4 " + s.Name.Name
	case *ast.ValueSpec:
		if tok == token.CONST {
			return "1 " + s.Names[0].Name
		}
		return "2 " + s.Names[0].Name
	}
	return "9"
}

func funcKey(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return "3 " + d.Name.Name
	}
	return "4 " + receiver(d) + " " + d.Name.Name
}

// receiver returns the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	expr := d.Recv.List[0].Type
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	switch generic := expr.(type) {
	case *ast.IndexExpr:
		expr = generic.X
	case *ast.IndexListExpr:
		expr = generic.X
	}
	name, _ := expr.(*ast.Ident)
	return name.Name
}
