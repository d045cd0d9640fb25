package texts

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
	"strconv"
	"strings"
	"testing"
)

var keyShape = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$`)

// use is how the program uses texts: the string literals that may be keys, and the calls
// with a literal key.
type use struct {
	literals map[string]token.Position
	calls    []call
}

type call struct {
	method, key string
	names       map[string]bool // of what is filled in; nil: not told by literals
	at          token.Position
}

// readUse parses the code above this package, tests left out.
func readUse(t *testing.T) use {
	t.Helper()
	u := use{literals: map[string]token.Position{}}
	set := token.NewFileSet()
	for _, root := range []string{"..", "../../cmd/kikuai"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			file, err := parser.ParseFile(set, path, source, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool { return u.see(set, n) })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// see takes in a node. What failpoints are named is no key.
func (u *use) see(set *token.FileSet, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		selector, is := n.Fun.(*ast.SelectorExpr)
		if !is {
			return true
		}
		if owner, is := selector.X.(*ast.Ident); is && owner.Name == "failpoint" {
			return false
		}
		if name := selector.Sel.Name; name == "Say" || name == "Count" {
			u.call(set, name, n)
		}
	case *ast.BasicLit:
		if text, is := literal(n); is && keyShape.MatchString(text) {
			u.literals[text] = set.Position(n.Pos())
		}
	}
	return true
}

func (u *use) call(set *token.FileSet, method string, n *ast.CallExpr) {
	if len(n.Args) == 0 {
		return
	}
	key, is := literal(n.Args[0])
	if !is {
		return
	}
	c := call{method: method, key: key, at: set.Position(n.Pos()), names: map[string]bool{}}
	fill := n.Args[1:]
	if method == "Count" {
		c.names["n"] = true
		fill = n.Args[min(2, len(n.Args)):]
	}
	for i := 0; i < len(fill); i += 2 {
		name, is := literal(fill[i])
		if !is || n.Ellipsis.IsValid() {
			c.names = nil
			break
		}
		c.names[name] = true
	}
	u.calls = append(u.calls, c)
}

func literal(n ast.Expr) (string, bool) {
	lit, is := n.(*ast.BasicLit)
	if !is || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// TestUse holds the code to the texts: a literal that begins like a key is one, what is
// said is filled with just the placeholders of its text, and every text is used.
func TestUse(t *testing.T) {
	messages := loaded(t).tongues[English].messages
	keys, areas := map[string]map[string]bool{}, map[string]bool{}
	for key, m := range messages {
		head, counted := base(key)
		areas[head[:strings.IndexByte(head, '.')]] = true
		if !counted || strings.HasSuffix(key, ".other") {
			keys[head] = m.names()
		}
	}
	u := readUse(t)
	for text, at := range u.literals {
		area, _, _ := strings.Cut(text, ".")
		if _, known := keys[text]; !known && areas[area] {
			t.Errorf("%s: %s is no text", at, text)
		}
	}
	for _, c := range u.calls {
		names, known := keys[c.key]
		_, counted := messages[c.key+".other"]
		switch {
		case !known:
			t.Errorf("%s: %s is no text", c.at, c.key)
		case counted != (c.method == "Count"):
			t.Errorf("%s: %s of %s", c.at, c.method, c.key)
		case c.names != nil && !counted && !maps.Equal(names, c.names), c.names != nil && counted && !within(names, c.names):
			t.Errorf("%s: %s is filled with %v, its text asks for %v", c.at, c.key, slices.Sorted(maps.Keys(c.names)), slices.Sorted(maps.Keys(names)))
		}
	}
	for key := range keys {
		if _, used := u.literals[key]; !used && !strings.HasPrefix(key, "format.") {
			t.Errorf("%s is never said", key)
		}
	}
}

// within tells whether all of part are in whole, and whole has nothing but them and n.
func within(part, whole map[string]bool) bool {
	for name := range whole {
		if !part[name] && name != "n" {
			return false
		}
	}
	for name := range part {
		if !whole[name] {
			return false
		}
	}
	return true
}

// forModels are the files that write prompts.
var forModels = map[string]bool{"summary.go": true, "quotation.go": true, "input.go": true, "inlineprompt.go": true}

// TestNoWordsInCode: what is said to people stands in the texts, where it can be
// translated. Literals with words in them are for operators: errors, logs, metrics.
func TestNoWordsInCode(t *testing.T) {
	words := regexp.MustCompile(`\pL{2,} \pL{2,}`)
	names, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || forModels[filepath.Base(name)] {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				return !forOperators(n.Fun)
			case *ast.KeyValueExpr:
				key, is := n.Key.(*ast.Ident)
				return !is || key.Name != "Help"
			case *ast.BasicLit:
				if text, is := literal(n); is && words.MatchString(text) {
					t.Errorf("%s: %q belongs into the texts", set.Position(n.Pos()), text)
				}
			}
			return true
		})
	}
}

// forOperators tells functions whose words nobody but an operator reads.
func forOperators(f ast.Expr) bool {
	if name, is := f.(*ast.Ident); is {
		return name.Name == "away"
	}
	selector, is := f.(*ast.SelectorExpr)
	if !is {
		return false
	}
	owner, _ := selector.X.(*ast.Ident)
	name := selector.Sel.Name
	if log, is := selector.X.(*ast.SelectorExpr); is && log.Sel.Name == "Log" {
		return true
	}
	return owner != nil && (owner.Name == "errors" || owner.Name == "fmt" && name == "Errorf") || strings.HasSuffix(name, "Context")
}
