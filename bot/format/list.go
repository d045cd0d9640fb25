package format

import (
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
)

const hang = "   " // one level of a list; narrow, for lines on a telephone are short

// bullets by level, the last for all that are deeper.
var bullets = [...]string{"•", "◦", "▪"}

// list writes a list, one item after another.
func (w *writer) list(n *ast.List) {
	indent := w.b.indent
	w.lists++
	number := n.Start
	lines := 2
	if n.IsTight {
		lines = 1
	}
	for item := n.FirstChild(); item != nil; item = item.NextSibling() {
		if item.PreviousSibling() != nil {
			w.b.breakLine(lines)
		}
		mark := bullets[min(w.lists, len(bullets))-1]
		if n.IsOrdered() {
			mark = strconv.Itoa(number) + string(rune(n.Marker))
			number++
		}
		if box := checkBox(item); box != "" {
			mark = box
		}
		if w.b.lead == "" {
			w.b.lead = indent
		}
		w.b.lead += mark + " "
		w.b.indent = indent + hang
		w.blocks(item, n.IsTight)
		if w.b.lead != "" { // an item of nothing
			w.b.lead = strings.TrimRight(w.b.lead, " ")
			w.b.begin()
		}
	}
	w.lists--
	w.b.indent = indent
}

// checkBox returns the box of a task, or "".
func checkBox(item ast.Node) string {
	first := item.FirstChild()
	if first == nil {
		return ""
	}
	box, ok := first.FirstChild().(*east.TaskCheckBox)
	switch {
	case !ok:
		return ""
	case box.IsChecked:
		return "☑"
	}
	return "☐"
}
