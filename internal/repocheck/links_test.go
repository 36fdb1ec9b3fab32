// Package repocheck holds tests of the repository itself.
package repocheck

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

var link = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)\s]*)?\)`)

func TestEveryLinkInTheDocumentationLeadsSomewhere(t *testing.T) {
	links := 0
	for _, page := range pages(t) {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(data), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %s is not there", strings.TrimPrefix(page, root+"/"), m[1])
			}
		}
	}
	if links < 10 {
		t.Errorf("only %d links were found", links)
	}
}

// pages returns the Markdown files, but for what was installed or built.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "node_modules" || path == root+"/data"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".md"):
			all = append(all, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryPageIsInTheIndex(t *testing.T) {
	linked := map[string]bool{}
	for _, index := range []string{root + "/docs/README.md", root + "/docs/adr/README.md"} {
		data, err := os.ReadFile(index)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(data), -1) {
			linked[filepath.Join(filepath.Dir(index), m[1])] = true
		}
	}
	docs := 0
	for _, page := range pages(t) {
		if !strings.HasPrefix(page, root+"/docs/") || page == root+"/docs/README.md" {
			continue
		}
		docs++
		if !linked[filepath.Clean(page)] {
			t.Errorf("%s is not in the index of its directory", strings.TrimPrefix(page, root+"/"))
		}
	}
	if docs < 10 {
		t.Errorf("only %d pages were found", docs)
	}
}
