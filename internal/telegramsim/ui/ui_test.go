package ui

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

// maxLines keeps each file of the page small enough to read in one go.
const maxLines = 400

func read(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(Files, name)
		files[name] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Whatever a file asks the browser to load must be there.
func TestReferences(t *testing.T) {
	files := read(t)
	wants := regexp.MustCompile(`(?:href|src)="([^"#]+)"|from '([^']+)'|url\("([^"]+)"\)`)
	count := 0
	for name, text := range files {
		for _, match := range wants.FindAllStringSubmatch(text, -1) {
			target := path.Clean(strings.Join(match[1:], ""))
			if _, ok := files[target]; !ok {
				t.Errorf("%s refers to %s, which is not embedded", name, target)
			}
			count++
		}
	}
	if count < 20 {
		t.Errorf("only %d references were found: the pattern no longer fits", count)
	}
}

// Text from outside never becomes markup, and a strict content policy holds.
func TestNoMarkupFromText(t *testing.T) {
	banned := map[string]*regexp.Regexp{
		".js":   regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|javascript:`),
		".html": regexp.MustCompile(`\son[a-z]+=|\sstyle=|<style|<script(?:>|[^>]*[^>]>[^<])|https?://`),
		".css":  regexp.MustCompile(`@import|https?://|data:`),
		".svg":  regexp.MustCompile(`<script|\son[a-z]+=|href=`),
	}
	for name, text := range read(t) {
		rule, ok := banned[path.Ext(name)]
		if !ok {
			t.Errorf("%s is of a kind that no rule covers", name)
			continue
		}
		if found := rule.FindString(text); found != "" {
			t.Errorf("%s contains %q", name, found)
		}
		if lines := strings.Count(text, "\n"); lines > maxLines {
			t.Errorf("%s has %d lines", name, lines)
		}
	}
	if index := read(t)["index.html"]; !strings.Contains(index, `content="default-src 'self';`) {
		t.Error("index.html states no content policy")
	}
}
