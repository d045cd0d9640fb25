package document

import (
	"bytes"
	"context"
	"errors"
	"strings"
)

const pagesMost = 2000 // of one file; what lies behind them is not read

// readPDF returns the words of a PDF, page by page.
func readPDF(ctx context.Context, data []byte, most int) (t Text, err error) {
	t.Kind = KindPDF
	var words strings.Builder
	defer func() {
		if p := recover(); p != nil {
			stopped, ours := p.(halt)
			if err = ErrBroken; ours {
				err = stopped.err
			}
		}
		t, err = finishPDF(t, words.String(), most, err)
	}()
	if err := ctx.Err(); err != nil {
		return t, err
	}
	f := openFile(data, &limit{ctx: ctx, steps: stepsMost, unpack: unpackMax})
	root, err := f.root()
	if err != nil {
		return t, err
	}
	pages := f.pages(root)
	if t.Pages = len(pages); t.Pages == 0 {
		return t, ErrBroken
	}
	p := &painter{file: f, fonts: map[string]*font{}, most: most + 1}
	for _, page := range pages {
		if words.Len() > most {
			break
		}
		p.begin()
		p.page(page)
		t.Read++
		if text := tidy(p.String()); text != "" {
			if words.Len() > 0 {
				words.WriteString("\n\n")
			}
			words.WriteString(text)
		}
	}
	return t, nil
}

// finishPDF decides what was read of a file: where it broke in the middle, what came before.
func finishPDF(t Text, words string, most int, err error) (Text, error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && words == "" || errors.Is(err, ErrLocked) {
		return Text{}, err
	}
	if words == "" {
		if err == nil {
			err = ErrWordless
		}
		return Text{}, err
	}
	t.Words, t.Cut = cut(words, most)
	t.Cut = t.Cut || t.Read < t.Pages || err != nil
	return t, nil
}

// root finds the catalogue of the file: as its trailers say, the last first, or else by
// looking at all objects. ErrLocked.
func (f *file) root() (dict, error) {
	var found dict
	for at := len(f.data); at > 0 && found == nil; {
		if at = bytes.LastIndex(f.data[:at], []byte("trailer")); at < 0 {
			break
		}
		l := &lexer{data: f.data, at: at + len("trailer"), limit: f.limit}
		d, _ := l.next(0).(dict)
		if d["Encrypt"] != nil && f.dict(d["Encrypt"]) != nil {
			return nil, ErrLocked
		}
		if root := f.dict(d["Root"]); root["Pages"] != nil {
			found = root
		}
	}
	if found != nil {
		return found, nil
	}
	for number := range f.places {
		d := f.dict(number)
		if f.name(d["Type"]) == "XRef" && f.dict(d["Encrypt"]) != nil {
			return nil, ErrLocked
		}
		if f.name(d["Type"]) == "Catalog" && d["Pages"] != nil {
			found = d
		}
	}
	if found == nil {
		return nil, ErrBroken
	}
	return found, nil
}

// pages lists the file's pages in order, with what they inherit.
func (f *file) pages(root dict) (pages []dict) {
	seen := map[ref]bool{}
	var walk func(value any, resources any, depth int)
	walk = func(value any, resources any, depth int) {
		if number, is := value.(ref); is {
			if seen[number] {
				return
			}
			seen[number] = true
		}
		f.limit.step()
		d := f.dict(value)
		if d == nil || depth > depthMost || len(pages) >= pagesMost {
			return
		}
		if d["Resources"] != nil {
			resources = d["Resources"]
		}
		kids := f.list(d["Kids"])
		if kids == nil {
			page := dict{"Contents": d["Contents"], "Resources": resources}
			pages = append(pages, page)
			return
		}
		for _, kid := range kids {
			walk(kid, resources, depth+1)
		}
	}
	walk(root["Pages"], nil, 0)
	return pages
}
