package llm

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// events reads all of a stream's data.
func events(source io.Reader, most int) (data []string, raw string, err error) {
	r := NewEventReader(source, most)
	var all bytes.Buffer
	for {
		e, err := r.Next()
		if err != nil {
			return data, all.String(), err
		}
		data = append(data, string(e.Data))
		all.Write(e.Raw)
	}
}

func TestEvents(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                      nil,
		"\n\n\n":                                nil,
		"data: a\n\ndata: b\n\n":                {"a", "b"},
		"data: a\r\n\r\ndata: b\r\n\r\n":        {"a", "b"},
		"data: a\r\rdata: b\r\r":                {"a", "b"},
		"data: a\n\r\ndata: b\r\n\n":            {"a", "b"},
		"data:a\ndata: b\ndata:  c\n\n":         {"a\nb\n c"},
		"data\n\n":                              {""},
		"data:\n\n":                             {""},
		": ping\n\ndata: a\n\n":                 {"a"},
		"event: x\nid: 7\ndata: a\nretry:1\n\n": {"a"},
		"event: x\n\n":                          nil,
		"dataset: x\n\n":                        nil,
		"\xef\xbb\xbfdata: a\n\n":               {"a"},
		"data: a":                               {"a"},
		"data: a\n":                             {"a"},
		"data: a\r":                             {"a"},
		"data: a\n\ndata: [DONE]":               {"a", "[DONE]"},
		"data: ün\n\n":                          {"ün"},
	} {
		for name, source := range map[string]io.Reader{
			"whole":     strings.NewReader(text),
			"one byte":  iotest.OneByteReader(strings.NewReader(text)),
			"half":      iotest.HalfReader(strings.NewReader(text)),
			"data, EOF": iotest.DataErrReader(strings.NewReader(text)),
		} {
			got, _, err := events(source, 0)
			if !errors.Is(err, io.EOF) || !slices.Equal(got, want) {
				t.Errorf("%q, %s: %q, %v; want %q", text, name, got, err, want)
			}
		}
	}
}

// Many clients know LF and CRLF alone. What such a one reads of a stream does not depend on
// where it was cut on its way here.
func TestEventsForScanners(t *testing.T) {
	const text = "event: x\r\ndata: a\r\n\r\n: ping\r\n\r\ndata: b\r\n\r\ndata: c\n\n"
	for cut := range len(text) + 1 {
		_, raw, err := events(io.MultiReader(strings.NewReader(text[:cut]), strings.NewReader(text[cut:])), 0)
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		var got []string
		for event := range strings.SplitSeq(strings.ReplaceAll(raw, "\r\n", "\n"), "\n\n") {
			for line := range strings.SplitSeq(event, "\n") {
				if data, is := strings.CutPrefix(line, "data: "); is {
					got = append(got, data)
				}
			}
			got = append(got, "")
		}
		if want := []string{"a", "", "b", "", "c", "", ""}; !slices.Equal(got, want) {
			t.Errorf("cut at %d: %q of %q", cut, got, raw)
		}
	}
}

func TestEventBounds(t *testing.T) {
	long := "data: " + strings.Repeat("x", 1000) + "\n\n"
	if got, _, err := events(strings.NewReader(long), 2000); !errors.Is(err, io.EOF) || len(got) != 1 {
		t.Errorf("within the bound: %v", err)
	}
	for _, text := range []string{long, strings.Repeat("data: x\n", 200), strings.Repeat(":", 10000)} {
		if _, _, err := events(strings.NewReader(text), 500); !errors.Is(err, ErrEventTooLong) {
			t.Errorf("beyond the bound: %v", err)
		}
	}
	many := strings.Repeat("data: x\n\n", 100_000)
	if got, raw, err := events(strings.NewReader(many), 500); !errors.Is(err, io.EOF) || len(got) != 100_000 || raw != many {
		t.Errorf("many events: %d, %v", len(got), err)
	}
	cut := errors.New("cut")
	got, _, err := events(io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(cut)), 0)
	if !errors.Is(err, cut) || !slices.Equal(got, []string{"a"}) {
		t.Errorf("a broken stream: %q, %v", got, err)
	}
}

// plainEvents is the format's definition, without regard to speed or cuts.
func plainEvents(text string) (events []string) {
	text = strings.TrimPrefix(text, "\xef\xbb\xbf")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	var data []string
	for _, line := range append(strings.Split(text, "\n"), "") {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case line == "":
			if data != nil {
				events = append(events, strings.Join(data, "\n"))
			}
			data = nil
		case name == "data":
			data = append(data, strings.TrimPrefix(value, " "))
		}
	}
	return events
}

func FuzzEvents(f *testing.F) {
	for _, seed := range []string{"data: a\n\ndata: b\r\n\r\n", ":x\rdata\r\rdata:y", "\xef\xbb\xbfdata: a\n\n", "\n\r\r\ndata:\n\n", "\r\xef\xbb\xbfdata:1"} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, text string, cut int) {
		if len(text) > 1<<16 {
			return
		}
		cut = max(0, min(cut, len(text)))
		want := plainEvents(text)
		for _, source := range []io.Reader{
			strings.NewReader(text),
			io.MultiReader(strings.NewReader(text[:cut]), strings.NewReader(text[cut:])),
			iotest.OneByteReader(strings.NewReader(text)),
		} {
			got, raw, err := events(source, 1<<20)
			if !errors.Is(err, io.EOF) || !slices.Equal(got, want) {
				t.Fatalf("%q cut at %d: %q, %v; want %q", text, cut, got, err, want)
			}
			// What is forwarded means the same to the next reader.
			if again, _, _ := events(strings.NewReader(raw), 1<<20); !slices.Equal(again, want) {
				t.Fatalf("%q forwarded as %q reads %q, want %q", text, raw, again, want)
			}
		}
	})
}
