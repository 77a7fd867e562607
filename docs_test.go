package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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
