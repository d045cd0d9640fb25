package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allMarks finds the marks in the source of the whole tree, so that none is left out: a
// mark that it could not read the name of fails the test.
func allMarks(t *testing.T) []string {
	t.Helper()
	const root = "../.."
	var marks []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		found, unread := marksOf(file)
		for _, at := range unread {
			t.Errorf("%s: what the mark is named is not to be read here, so nothing is killed at it", files.Position(at))
		}
		marks = append(marks, found...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(marks)
	return slices.Compact(marks)
}

// marksOf are the marks of a file: what it passes to failpoint.Here, and in billing to the
// engine's step, which puts "money." before it. unread are those whose name is no literal.
func marksOf(file *ast.File) (marks []string, unread []token.Pos) {
	stepped := file.Name.Name == "billing"
	ast.Inspect(file, func(node ast.Node) bool {
		if function, ok := node.(*ast.FuncDecl); ok && stepped && function.Name.Name == "step" {
			return false // its callers name the mark
		}
		call, ok := node.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		function, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		of, _ := function.X.(*ast.Ident)
		prefix := ""
		switch {
		case of != nil && of.Name == "failpoint" && function.Sel.Name == "Here":
		case stepped && function.Sel.Name == "step":
			prefix = "money."
		default:
			return true
		}
		if name, ok := literal(call.Args[0]); ok {
			marks = append(marks, prefix+name)
		} else {
			unread = append(unread, call.Pos())
		}
		return true
	})
	return marks, unread
}

func literal(of ast.Expr) (string, bool) {
	lit, ok := of.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// TestMarksAreKnown: the list of marks that processes are killed at has one of each package
// that has marks at all, however deep it lies, and a mark without a plain name is told of.
func TestMarksAreKnown(t *testing.T) {
	t.Parallel()
	marks := allMarks(t)
	for _, mark := range []string{"call.admitted", "handlers.paid", "money.applied", "outbox.sent", "update.handled"} {
		if !slices.Contains(marks, mark) {
			t.Errorf("no process is ever killed at %s: %q", mark, marks)
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), "marks.go", `package billing
func (e *Engine) step(name string) { failpoint.Here("money." + name) }
func f(name string) { failpoint.Here("a.b"); o.step("c"); failpoint.Here(name); failpoint.Here("money." + name); o.step(name) }`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if found, unread := marksOf(file); !slices.Equal(found, []string{"a.b", "money.c"}) || len(unread) != 3 {
		t.Errorf("found %q, %d unread", found, len(unread))
	}
}
