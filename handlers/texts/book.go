package texts

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"golang.org/x/text/language"
	"gopkg.in/yaml.v3"
)

// English is spoken where nobody chose and Telegram tells nothing that is known.
const English = "en"

//go:embed */*.yaml
var files embed.FS

// Languages are the codes of the languages spoken, English first.
func Languages() []string { return []string{English, "ru", "es", "pt", "zh", "ar"} }

// Book is every text in every language. It is never changed and safe for concurrent use.
type Book struct{ tongues map[string]*tongue }

// tongue is one language.
type tongue struct {
	code        string
	tag         language.Tag
	rightToLeft bool
	messages    map[string]message // plural forms by key.form
	forms       forms
}

// Load is the texts that are built into the program, read once: that is a good part of a
// start. An error is a mistake in them.
func Load() (*Book, error) { return builtIn() }

var builtIn = sync.OnceValues(func() (*Book, error) { return load(files, Languages()) })

func load(files fs.FS, languages []string) (*Book, error) {
	b := &Book{tongues: map[string]*tongue{}}
	for _, code := range languages {
		t, err := loadTongue(files, code)
		if err != nil {
			return nil, err
		}
		b.tongues[code] = t
	}
	return b, nil
}

func loadTongue(files fs.FS, code string) (*tongue, error) {
	tag, err := language.Parse(code)
	if err != nil {
		return nil, fmt.Errorf("texts: language %q: %w", code, err)
	}
	t := &tongue{code: code, tag: tag, rightToLeft: code == "ar", messages: map[string]message{}}
	names, err := fs.Glob(files, path.Join(code, "*.yaml"))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("texts: no files of language %q: %w", code, err)
	}
	for _, name := range names {
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("texts: %w", err)
		}
		var area map[string]string
		if err := yaml.Unmarshal(raw, &area); err != nil {
			return nil, fmt.Errorf("texts: %s: %w", name, err)
		}
		for key, text := range area {
			if _, twice := t.messages[key]; twice {
				return nil, fmt.Errorf("texts: %s: %s stands in another file, too", name, key)
			}
			if t.messages[key], err = parse(text, t.rightToLeft); err != nil {
				return nil, fmt.Errorf("texts: %s: %s: %w", name, key, err)
			}
		}
	}
	if t.forms, err = readForms(t.messages); err != nil {
		return nil, fmt.Errorf("texts: language %q: %w", code, err)
	}
	return t, nil
}

// Voice speaks the language of an IETF tag as settings and Telegram have it, such as "ru"
// or "pt-br"; one that is not spoken, and none, is English.
func (b *Book) Voice(tag string) Voice {
	code, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(tag, "_", "-")), "-")
	t, known := b.tongues[code]
	if !known {
		t = b.tongues[English]
	}
	return Voice{tongue: t}
}

// Is tells whether a text that somebody was sent is what a key says, in any language.
func (b *Book) Is(text, key string, fill ...any) bool {
	for _, t := range b.tongues {
		if plain(Voice{tongue: t}.Say(key, fill...)) == plain(text) {
			return true
		}
	}
	return false
}
