package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocsNameTests: the tests that the documents speak of exist.
func TestDocsNameTests(t *testing.T) {
	exist := map[string]bool{}
	defined := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	if err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, one := range defined.FindAllStringSubmatch(string(text), -1) {
			exist[one[1]] = true
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\bTest[A-Z]\w*`).FindAllString(string(text), -1) {
			if !exist[name] {
				t.Errorf("%s names %s, which is no test", page, name)
			}
		}
	}
}

// TestReliabilityHeadings: each bar of docs/reliability.md has one heading, a line of its own.
func TestReliabilityHeadings(t *testing.T) {
	const page = "docs/reliability.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		if len(line) > 80 || i+1 >= len(lines) || lines[i+1] != "" {
			t.Errorf("%s:%d: %q is no heading", page, i+1, line)
		}
		if bar := regexp.MustCompile(`^## Bar (\d+)`).FindString(line); bar != "" {
			if seen[bar] {
				t.Errorf("%s:%d: %s has a heading above", page, i+1, bar)
			}
			seen[bar] = true
		}
	}
	if len(seen) == 0 {
		t.Errorf("%s names no bar", page)
	}
}

// TestDocsNameFiles: the packages and files that the documents speak of exist.
func TestDocsNameFiles(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	room := regexp.MustCompile("[`─ ]((?:engine|storage|queue|ui|testkit)/[a-z/]+(?:_?[a-z0-9]+\\.go)?)[` ,]")
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range room.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(found[1]); err != nil {
				t.Errorf("%s names %s: %v", page, found[1], err)
			}
		}
	}
}

// TestDocsNameCode: what docs/architecture.md names in the code exists: `package.Name`, `Type.Member` and
// `package.Type.Member`.
func TestDocsNameCode(t *testing.T) {
	const page = "docs/architecture.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	exist, named := declared(t), 0
	code := regexp.MustCompile("`([A-Za-z]\\w*(?:\\.[A-Za-z]\\w*)+)[`({]")
	for _, found := range code.FindAllStringSubmatch(string(text), -1) {
		name := found[1]
		if strings.HasPrefix(name, "mail.db") || strings.HasPrefix(name, "sync_task.") || filepath.Ext(name) == ".go" {
			continue // a file of a store, a column, a file of ours
		}
		if named++; !exist[name] {
			t.Errorf("%s names %s, which is not there", page, name)
		}
	}
	if named == 0 {
		t.Errorf("%s names no code", page)
	}
}

// declared gives what the product's files declare: package.Name, Type.Member and package.Type.Member.
func declared(t *testing.T) map[string]bool {
	t.Helper()
	all, embedded := map[string]bool{}, map[string][]string{} // by package.Type: the types in it
	if err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		add := func(owner string, names ...*ast.Ident) {
			for _, name := range names {
				if owner != "" {
					all[owner+"."+name.Name] = true
					all[file.Name.Name+"."+owner+"."+name.Name] = true
				} else {
					all[file.Name.Name+"."+name.Name] = true
				}
			}
		}
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				add(receiver(decl), decl.Name)
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.ValueSpec:
						add("", spec.Names...)
					case *ast.TypeSpec:
						add("", spec.Name)
						for _, member := range members(spec.Type) {
							add(spec.Name.Name, member.Names...)
							if of := nameOf(member.Type); len(member.Names) == 0 && of != "" {
								in := file.Name.Name + "." + spec.Name.Name
								embedded[in] = append(embedded[in], file.Name.Name+"."+of+".")
							}
						}
					}
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for owner, types := range embedded {
		for _, of := range types {
			for _, name := range slices.Collect(maps.Keys(all)) {
				if member, ok := strings.CutPrefix(name, of); ok {
					all[owner+"."+member] = true
					all[owner[strings.Index(owner, ".")+1:]+"."+member] = true
				}
			}
		}
	}
	return all
}

// receiver names the type of a method; "": it is a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	return nameOf(f.Recv.List[0].Type)
}

// nameOf names a type of the package, or what a pointer to one leads to; "": it is another kind.
func nameOf(of ast.Expr) string {
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if generic, ok := of.(*ast.IndexExpr); ok {
		of = generic.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// members gives the fields of a struct and the methods of an interface.
func members(of ast.Expr) []*ast.Field {
	switch of := of.(type) {
	case *ast.StructType:
		return of.Fields.List
	case *ast.InterfaceType:
		return of.Methods.List
	}
	return nil
}
