package format

import (
	"strings"

	"github.com/go-telegram/bot/models"
	"github.com/rivo/uniseg"
	east "github.com/yuin/goldmark/extension/ast"
)

const (
	tableWidth = 38 // columns of code that a telephone shows before it breaks lines
	tableGap   = "  "
)

// table writes a table in columns, where they fit a narrow screen and their cells hold
// plain words; else as a list of its rows, in which links and styles stay.
func (w *writer) table(n *east.Table) {
	rows := w.cells(n)
	if len(rows) == 0 {
		return
	}
	if widths, ok := columns(rows); ok {
		w.code(grid(rows, widths, n.Alignments), "")
		return
	}
	w.records(rows)
}

// cells returns the cells of all rows, the header first.
func (w *writer) cells(n *east.Table) [][]Text {
	var rows [][]Text
	for row := n.FirstChild(); row != nil; row = row.NextSibling() {
		var cells []Text
		for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
			inner := writer{source: w.source}
			inner.inlines(cell)
			cells = append(cells, inner.b.finish())
		}
		for len(cells) < len(n.Alignments) {
			cells = append(cells, Text{})
		}
		rows = append(rows, cells)
	}
	return rows
}

// columns returns the widths of a table's columns; not ok where columns do not suit it.
func columns(rows [][]Text) (widths []int, ok bool) {
	if len(rows) == 0 {
		return nil, false
	}
	widths = make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			if strings.Contains(cell.String, "\n") {
				return nil, false
			}
			for _, e := range cell.Entities {
				if e.Type == models.MessageEntityTypeTextLink {
					return nil, false
				}
			}
			widths[i] = max(widths[i], uniseg.StringWidth(cell.String))
		}
	}
	total := len(tableGap) * (len(widths) - 1)
	for _, width := range widths {
		total += width
	}
	return widths, total <= tableWidth
}

// grid writes the rows in columns, with a line below the header.
func grid(rows [][]Text, widths []int, alignments []east.Alignment) string {
	var out strings.Builder
	for i, row := range rows {
		var line strings.Builder
		for j, cell := range row {
			if j > 0 {
				line.WriteString(tableGap)
			}
			room := widths[j] - uniseg.StringWidth(cell.String)
			left := 0
			switch alignments[j] {
			case east.AlignRight:
				left = room
			case east.AlignCenter:
				left = room / 2
			case east.AlignLeft, east.AlignNone:
			}
			line.WriteString(strings.Repeat(" ", left) + cell.String + strings.Repeat(" ", room-left))
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		if i == 0 {
			for j, width := range widths {
				if j > 0 {
					out.WriteString(tableGap)
				}
				out.WriteString(strings.Repeat("─", width))
			}
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// records writes each row below its first cell. Rows of two are one line each.
func (w *writer) records(rows [][]Text) {
	header := rows[0]
	switch len(header) {
	case 1:
		w.heading(header[0])
		for _, row := range rows[1:] {
			w.entry(row[0])
		}
		return
	case 2:
		w.heading(pair(header[0], header[1], " – "))
		for _, row := range rows[1:] {
			w.entry(pair(emboldened(row[0]), row[1], " – "))
		}
		return
	}
	for i, row := range rows[1:] {
		if i > 0 {
			w.b.breakLine(2)
		}
		w.heading(row[0])
		for j, cell := range row[1:] {
			if !cell.Blank() {
				w.entry(pair(header[j+1], cell, ": "))
			}
		}
	}
	if len(rows) == 1 {
		for _, cell := range header {
			w.entry(cell)
		}
	}
}

// pair joins two cells, or returns the one that is not blank.
func pair(a, b Text, between string) Text {
	switch {
	case a.Blank():
		return b
	case b.Blank():
		return a
	}
	return a.Append(Text{String: between}).Append(b)
}

// emboldened makes a cell bold unless it holds what excludes it, or is bold.
func emboldened(t Text) Text {
	for _, e := range t.Entities {
		if e.Type == models.MessageEntityTypeCode || e.Type == models.MessageEntityTypeBold {
			return t
		}
	}
	return t.Styled(models.MessageEntityTypeBold)
}

func (w *writer) heading(t Text) {
	if !t.Blank() {
		w.b.append(emboldened(t))
		w.b.breakLine(1)
	}
}

func (w *writer) entry(t Text) {
	if t.Blank() {
		return
	}
	if w.b.lead == "" {
		w.b.lead = w.b.indent
	}
	w.b.lead += bullets[0] + " "
	w.b.append(t)
	w.b.breakLine(1)
}
