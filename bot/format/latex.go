package format

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const texDepth = 24 // of groups within groups

// latex writes a formula in plain characters: \frac{a}{b} as a/b, x^2 as x², \alpha as
// α. It is not ok where it would have to leave something out; then the source is more
// readable than what is here.
func latex(source string) (shown string, ok bool) {
	t := tex{in: source, ok: true}
	shown = t.group("")
	if !t.ok || t.i < len(t.in) {
		return "", false
	}
	lines := strings.Split(shown, "\n")
	kept := lines[:0]
	for _, line := range lines {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			line = strings.ReplaceAll(line, " "+wideSpace+" ", "  ")
			kept = append(kept, strings.ReplaceAll(line, wideSpace, "  "))
		}
	}
	shown = strings.Join(kept, "\n")
	return shown, shown != ""
}

const wideSpace = "\x01" // \quad, while spaces are being put in order

// tex reads a formula once, from left to right.
type tex struct {
	in    string
	i     int
	ok    bool
	depth int
}

// group reads up to end, which it passes, or to the end of the formula where that is "".
func (t *tex) group(end string) string {
	if t.depth++; t.depth > texDepth {
		t.ok = false
	}
	defer func() { t.depth-- }()
	var out strings.Builder
	for t.ok && t.i < len(t.in) {
		if end != "" && strings.HasPrefix(t.in[t.i:], end) {
			t.i += len(end)
			return out.String()
		}
		switch c := t.in[t.i]; c {
		case '}':
			t.ok = false
		case '^', '_':
			t.i++
			out.WriteString(script(c, t.argument()))
		case '\'':
			t.i++
			out.WriteString("′")
		case '&':
			t.i++
			out.WriteString(" ")
		case '~':
			t.i++
			out.WriteString(" ")
		case '-':
			t.i++
			out.WriteString("−")
		default:
			out.WriteString(t.atom())
		}
	}
	if end != "" {
		t.ok = false
	}
	return out.String()
}

// atom reads a group in braces, a command, or one character.
func (t *tex) atom() string {
	switch t.in[t.i] {
	case '{':
		t.i++
		return t.group("}")
	case '\\':
		t.i++
		return t.command()
	}
	r, size := utf8.DecodeRuneInString(t.in[t.i:])
	t.i += size
	if r == '\n' {
		return " "
	}
	return string(r)
}

// argument reads what a command or a script applies to.
func (t *tex) argument() string {
	t.spaces()
	if t.i >= len(t.in) || t.in[t.i] == '}' {
		t.ok = false
		return ""
	}
	return strings.TrimSpace(t.atom())
}

func (t *tex) spaces() {
	for t.i < len(t.in) && (t.in[t.i] == ' ' || t.in[t.i] == '\n') {
		t.i++
	}
}

// verbatim reads an argument in braces that is words, not a formula.
func (t *tex) verbatim() string {
	t.spaces()
	if t.i >= len(t.in) || t.in[t.i] != '{' {
		return t.argument()
	}
	end := strings.IndexByte(t.in[t.i:], '}')
	if end < 0 || strings.ContainsAny(t.in[t.i+1:t.i+end], `{\$`) {
		return t.argument()
	}
	words := t.in[t.i+1 : t.i+end]
	t.i += end + 1
	return words
}

// command reads what follows a backslash.
func (t *tex) command() string {
	from := t.i
	for t.i < len(t.in) && asciiLetter(t.in[t.i]) {
		t.i++
	}
	name := t.in[from:t.i]
	if name == "" {
		return t.sign()
	}
	if symbol, known := texSymbols[name]; known {
		return symbol
	}
	if symbol, known := texOperators[name]; known {
		return " " + symbol + " "
	}
	if texFunctions[name] {
		if t.i < len(t.in) && strings.IndexByte(" (^_{", t.in[t.i]) < 0 {
			return name + " "
		}
		return name
	}
	if mark, known := texAccents[name]; known {
		base := t.argument()
		if utf8.RuneCountInString(base) != 1 {
			t.ok = false
		}
		return base + mark
	}
	return t.structure(name)
}

// sign reads a command that is no word.
func (t *tex) sign() string {
	if t.i >= len(t.in) {
		t.ok = false
		return ""
	}
	c := t.in[t.i]
	t.i++
	switch c {
	case '\\':
		if t.i < len(t.in) && t.in[t.i] == '[' { // the room between two lines
			t.verbatimOption()
		}
		return "\n"
	case ',', ':', ';', ' ', '>', '\n':
		return " "
	case '!':
		return ""
	case '|':
		return "‖"
	case '{', '}', '%', '$', '#', '&', '_':
		return string(rune(c))
	}
	t.ok = false
	return ""
}

// structure reads the arguments of a command that has some.
func (t *tex) structure(name string) string {
	switch name {
	case "frac", "dfrac", "tfrac", "cfrac":
		over, under := t.argument(), t.argument()
		if over = bracketed(over); strings.HasSuffix(over, ")") {
			return over + " / " + bracketed(under) // without room it would read as a command of a bot
		}
		return over + "/" + bracketed(under)
	case "binom":
		n, k := t.argument(), t.argument()
		return "C(" + n + ", " + k + ")"
	case "sqrt":
		root := "√"
		if degree := t.verbatimOption(); degree != "" {
			root = map[string]string{"3": "∛", "4": "∜"}[degree]
			if root == "" {
				root = script('^', degree) + "√"
			}
		}
		return root + bracketed(t.argument())
	case "text", "textbf", "textit", "textrm", "mathrm", "operatorname", "mbox", "texttt":
		return t.verbatim()
	case "mathbf", "mathit", "mathsf", "mathcal", "boldsymbol", "bm", "mathfrak", "mathscr", "boxed":
		return t.argument()
	case "mathbb":
		letter := t.argument()
		if double, known := texDouble[letter]; known {
			return double
		}
		return letter
	case "pmod":
		return " (mod " + t.argument() + ")"
	case "tag":
		return " (" + t.argument() + ")"
	case "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "middle":
		return t.fence()
	case "begin":
		return t.environment()
	}
	t.ok = false
	return ""
}

// fence reads the bracket after \left and its likes; a full stop is none.
func (t *tex) fence() string {
	t.spaces()
	if t.i < len(t.in) && t.in[t.i] == '.' {
		t.i++
		return ""
	}
	if t.i >= len(t.in) {
		t.ok = false
		return ""
	}
	return t.atom()
}

// verbatimOption reads an option in square brackets, if there is one.
func (t *tex) verbatimOption() string {
	if t.i >= len(t.in) || t.in[t.i] != '[' {
		return ""
	}
	end := strings.IndexByte(t.in[t.i:], ']')
	if end < 0 {
		t.ok = false
		return ""
	}
	option := t.in[t.i+1 : t.i+end]
	t.i += end + 1
	return option
}

// environment reads \begin{…} … \end{…}: rows of a matrix, lines of a derivation.
func (t *tex) environment() string {
	name := t.verbatim()
	kind := strings.TrimSuffix(name, "*")
	end := `\end{` + name + "}"
	at := strings.Index(t.in[t.i:], end)
	if at < 0 || strings.Contains(t.in[t.i:t.i+at], `\begin{`) {
		t.ok = false
		return ""
	}
	edges, isMatrix := texMatrices[kind]
	if isMatrix && kind == "array" {
		t.verbatim()
		at = strings.Index(t.in[t.i:], end)
	}
	if at < 0 || !isMatrix && !texLines[kind] {
		t.ok = false
		return ""
	}
	body := t.in[t.i : t.i+at]
	t.i += at + len(end)
	inner := tex{in: body, ok: true, depth: t.depth}
	if !isMatrix {
		shown := inner.group("")
		t.ok = t.ok && inner.ok
		return "\n" + shown + "\n"
	}
	inner.in = strings.ReplaceAll(body, "&", wideSpace)
	rows := strings.Split(inner.group(""), "\n")
	t.ok = t.ok && inner.ok
	var out strings.Builder
	for _, row := range rows {
		if row = strings.TrimSpace(row); row != "" {
			out.WriteString("\n" + edges[0] + " " + row + " " + edges[1])
		}
	}
	return out.String() + "\n"
}

// bracketed puts what is more than one quantity in brackets.
func bracketed(s string) string {
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !unicode.Is(unicode.No, r) && r != '.' && r != '√' && r != '∞' && r != '′' {
			return "(" + s + ")"
		}
	}
	return s
}

// script writes s raised or lowered, with characters of that form where all of s has one.
func script(mark byte, s string) string {
	forms := texRaised
	if mark == '_' {
		forms = texLowered
	}
	var out strings.Builder
	for _, r := range s {
		if r == ' ' {
			continue
		}
		form, known := forms[r]
		if !known {
			if utf8.RuneCountInString(s) == 1 {
				return string(rune(mark)) + s
			}
			return string(rune(mark)) + "(" + s + ")"
		}
		out.WriteRune(form)
	}
	return out.String()
}

func asciiLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
