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
