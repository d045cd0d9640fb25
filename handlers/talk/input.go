package talk

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	docs "github.com/kikuai/kikuai/internal/document"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	filesAtOnce = 96 << 20 // bytes of files in memory, of all turns here
	fileUnsaid  = 1 << 20  // bytes of a file whose size nobody said
	opensAtOnce = 2        // pictures that are opened, each up to 160 MB

	piecesAtOnce  = 4         // of a turn that are read at once
	documentsMost = 100 << 10 // bytes of the words of a turn's documents
	bytesPerToken = 2         // of a document's words, at the least
	picturesMost  = 20        // of a turn
	megabyte      = 1 << 20
)

// files fetches what people send.
type files interface {
	Fetch(ctx context.Context, id string, most int64) ([]byte, error)
}

// bench is where files are opened, within bounds.
type bench struct {
	bytes *semaphore.Weighted
	opens chan struct{}
}

func newBench() *bench {
	return &bench{bytes: semaphore.NewWeighted(filesAtOnce), opens: make(chan struct{}, opensAtOnce)}
}

// finding is what one piece of a question says.
type finding struct {
	words   string // for the model, with what they refer to
	picture string // for the model: a data URL
	shown   string // to the person above the answer: what was heard, or not read to its end
	fault   string // why its attachment could not be read
	cost    int64  // nano-USD that reading it has cost
}

// read makes a question of the turn's pieces. What was read of them stays read when more
// come. Its errors are those of the metered path, and ctx's.
func (r *Room) read(ctx context.Context, t *turn) error {
	if t.readings == nil {
		t.readings = map[int64]finding{}
	}
	found := make([]finding, len(t.pieces))
	documents := 0
	for _, u := range t.pieces {
		if attachmentOf(u.Message).kind == kindDocument {
			documents++
		}
	}
	room := r.documentRoom(t) / max(1, documents)
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(piecesAtOnce)
	for i, u := range t.pieces {
		known, is := t.readings[u.ID]
		if is {
			found[i] = known
			continue
		}
		group.Go(func() (err error) {
			found[i], err = r.readPiece(within, t, u, room)
			return err
		})
	}
	err := group.Wait()
	for i, u := range t.pieces {
		if found[i] != (finding{}) {
			t.readings[u.ID] = found[i]
		}
	}
	if err != nil {
		return err
	}
	t.asks = compose(t.pieces, found)
	return nil
}

// documentRoom is how many bytes of a turn's documents the model can take.
func (r *Room) documentRoom(t *turn) int {
	return min(documentsMost, max(1<<10, r.room(r.model(t))*bytesPerToken))
}

// compose puts what was read together. Where an attachment could not be read, and no other
// was, there is nothing to ask.
func compose(pieces []*bot.Update, found []finding) question {
	var q question
	var words, kept strings.Builder
	var parts []llm.Part
	var faults, shown []string
	pictures := 0
	for i, one := range found {
		if i > 0 {
			gap := between(pieces[i-1], pieces[i])
			words.WriteString(gap)
			kept.WriteString(gap)
		}
		words.WriteString(one.words)
		kept.WriteString(one.words)
		if one.picture != "" {
			if pictures++; pictures <= picturesMost {
				parts = appendWords(parts, words.String())
				parts = append(parts, llm.Part{Image: one.picture})
				words.Reset()
			}
			kept.WriteString("\n[a picture]")
		}
		if one.shown != "" {
			shown = append(shown, one.shown)
		}
		if one.fault != "" {
			faults = append(faults, one.fault)
		}
		q.cost += one.cost
	}
	q.kept = strings.TrimSpace(kept.String())
	q.message = llm.Message{Role: "user", Content: words.String()}
	if parts != nil {
		q.message = llm.Message{Role: "user", Parts: appendWords(parts, words.String())}
	}
	if len(faults) > 0 && len(faults) == attached(pieces) {
		q.refusal = faults[0]
		return q
	}
	q.quote = strings.Join(append(shown, faults...), "\n")
	return q
}

func appendWords(parts []llm.Part, words string) []llm.Part {
	if strings.TrimSpace(words) == "" {
		return parts
	}
	return append(parts, llm.Part{Text: words})
}

// attached counts the pieces that carry something beside words.
func attached(pieces []*bot.Update) (n int) {
	for _, u := range pieces {
		if a, _ := carried(u.Message); a.kind != kindNone || IsUnreadable(u.Message) {
			n++
		}
	}
	return n
}

// readPiece reads one message, with at most room bytes of a document.
func (r *Room) readPiece(ctx context.Context, t *turn, u *bot.Update, room int) (finding, error) {
	m := u.Message
	a, own := carried(m)
	one := finding{}
	var err error
	text := ""
	switch a.kind {
	case kindPicture:
		one.picture, one.fault, err = r.look(ctx, t, a)
	case kindSound:
		var heard heard
		if heard, one.fault, err = r.transcribe(ctx, t, u, a); heard.Text != "" {
			text, one.cost = heard.Text, heard.Cost
			one.shown = "🎤 " + text
			if m.Voice == nil && m.VideoNote == nil || !own {
				text = "The recording says:\n" + fenced(text)
			}
		}
	case kindDocument:
		text, one.shown, one.fault, err = r.peruse(ctx, t, a, room)
	case kindNone:
		if IsUnreadable(m) {
			one.fault = t.Voice.Say("input.unreadable")
		}
	}
	var parts []string
	for _, part := range []string{around(m), text, r.spoken(m)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	one.words = strings.Join(parts, "\n\n")
	return one, err
}

// fetch gets an attachment's file; fault is why there is none. done must be called once it
// is not needed any more.
func (r *Room) fetch(ctx context.Context, t *turn, a attachment) (content []byte, done func(), fault string, err error) {
	most := int64(bot.FileMost)
	if a.size > most {
		return nil, nil, t.Voice.Say("input.file_large", "most", strconv.FormatInt(most/megabyte, 10)), nil
	}
	weight := a.size
	if weight <= 0 {
		weight, most = fileUnsaid, min(most, 4*fileUnsaid)
	}
	if err := r.bench.bytes.Acquire(ctx, weight); err != nil {
		return nil, nil, "", fmt.Errorf("room for a file: %w", err)
	}
	done = func() { r.bench.bytes.Release(weight) }
	content, err = r.Files.Fetch(ctx, a.file, most)
	if err == nil {
		return content, done, "", nil
	}
	done()
	switch {
	case ctx.Err() != nil:
		return nil, nil, "", ctx.Err()
	case errors.Is(err, bot.ErrFileTooLarge):
		return nil, nil, t.Voice.Say("input.file_large", "most", strconv.FormatInt(most/megabyte, 10)), nil
	}
	r.Log.WarnContext(ctx, "file not fetched", "error", err)
	return nil, nil, t.Voice.Say("input.file_gone"), nil
}

// look makes a picture ready for the model, if it sees.
func (r *Room) look(ctx context.Context, t *turn, a attachment) (url, fault string, err error) {
	if r.Catalogue != nil {
		if m, err := r.Catalogue.Model(r.model(t)); err == nil && !m.Sees {
			return "", r.blind(t, m), nil
		}
	}
	content, done, fault, err := r.fetch(ctx, t, a)
	if err != nil || fault != "" {
		return "", fault, err
	}
	defer done()
	select {
	case r.bench.opens <- struct{}{}:
	case <-ctx.Done():
		return "", "", ctx.Err()
	}
	defer func() { <-r.bench.opens }()
	switch url, err = dataURL(content); {
	case errors.Is(err, errPictureLarge):
		return "", t.Voice.Say("input.picture_large"), nil
	case err != nil:
		return "", t.Voice.Say("input.picture_bad"), nil
	}
	return url, "", nil
}

// blind says that a model does not see, and which one does: the cheapest.
func (r *Room) blind(t *turn, m *llm.Model) string {
	best, lowest := "", 0.0
	for _, other := range r.Catalogue.Models() {
		price, err := strconv.ParseFloat(other.Prices["input"], 64) // to compare, not to charge
		if err == nil && other.Sees && other.Offers(llm.OperationChat) && (best == "" || price < lowest) {
			best, lowest = other.ID, price
		}
	}
	if best == "" {
		return t.Voice.Say("input.blind_all")
	}
	return t.Voice.Say("input.blind", "model", m.ID, "other", best)
}

// peruse reads a document. note says what of it was not read.
func (r *Room) peruse(ctx context.Context, t *turn, a attachment, room int) (words, note, fault string, err error) {
	content, done, fault, err := r.fetch(ctx, t, a)
	if err != nil || fault != "" {
		return "", "", fault, err
	}
	defer done()
	called := nameOf(t, a)
	read, err := docs.Read(ctx, a.name, content, room)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return "", "", "", ctx.Err()
	case errors.Is(err, docs.ErrDisguised):
		return "", "", t.Voice.Say("input.document_disguised", "name", called), nil
	case errors.Is(err, docs.ErrLocked):
		return "", "", t.Voice.Say("input.document_locked", "name", called), nil
	case errors.Is(err, docs.ErrWordless):
		return "", "", t.Voice.Say("input.document_wordless", "name", called), nil
	case errors.Is(err, docs.ErrBroken):
		return "", "", t.Voice.Say("input.document_broken", "name", called), nil
	default:
		return "", "", t.Voice.Say("input.document_unknown", "name", called), nil
	}
	extent := ""
	switch {
	case read.Cut && read.Pages > 0:
		extent = fmt.Sprintf(", up to page %d of %d", read.Read, read.Pages)
		note = t.Voice.Say("input.cut_pages", "name", called, "read", strconv.Itoa(read.Read), "pages", strconv.Itoa(read.Pages))
	case read.Cut:
		extent, note = ", its beginning", t.Voice.Say("input.cut", "name", called)
	}
	return fmt.Sprintf("File %q (%s%s):\n%s", called, read.Kind, extent, fenced(read.Words)), note, "", nil
}

// nameOf is a file's name as it can be said.
func nameOf(t *turn, a attachment) string {
	name := strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x202A && c <= 0x202E || c >= 0x2066 && c <= 0x2069 { // they turn the text around
			return -1
		}
		return c
	}, hall.Clip(a.name, 64))
	if strings.TrimSpace(name) == "" {
		return t.Voice.Say("input.nameless")
	}
	return name
}
