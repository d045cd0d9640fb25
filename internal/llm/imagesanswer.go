package llm

import (
	"strings"

	"github.com/tidwall/gjson"
)

// imagesAnswer reads and writes pictures, streamed or not.
type imagesAnswer struct {
	heard
	request  *imagesRequest
	pictures int64
	partials int64 // pictures that are not finished
	body     gjson.Result
	told     gjson.Result
	final    bool // the last event brought a finished picture
	kept     heldEvent
}

func (a *imagesAnswer) event(data []byte) (Chunk, error) {
	if string(data) == "[DONE]" {
		return Chunk{Over: true}, nil
	}
	event, err := eventJSON(data)
	if err != nil {
		return Chunk{}, err
	}
	a.final = false
	switch kind := event.Get("type").Str; {
	case kind == "error" || event.Get("error").IsObject():
		return Chunk{}, ErrReported
	case strings.HasSuffix(kind, ".partial_image"):
		a.partials++
	case strings.HasSuffix(kind, ".completed"):
		a.pictures++
		a.told, a.final, a.ended, a.finish = event.Get("usage"), true, true, FinishStop
	default:
		return Chunk{}, nil
	}
	a.text.made()
	return Chunk{Text: true}, nil
}

// passed holds back the finished picture, whose event tells the usage.
func (a *imagesAnswer) passed(e Event) ([]byte, error) {
	if a.final {
		a.kept.hold(e)
		return nil, nil
	}
	return e.Raw, nil
}

func (a *imagesAnswer) closing(to []byte, f Final) []byte {
	if !a.kept.held() {
		return to
	}
	return a.kept.append(to, func(to []byte, data string) []byte { return appendInputCost(to, data, f) })
}

func (a *imagesAnswer) failing(to []byte, f Failure) []byte {
	to = append(to, eventHead...)
	to = append(to, f.Body...)
	return append(to, eventTail...)
}

func (a *imagesAnswer) whole(answer *Answer) (err error) {
	if a.body, err = wholeJSON(answer); err != nil {
		return err
	}
	a.body.Get("data").ForEach(func(_, _ gjson.Result) bool { a.pictures++; return true })
	if a.pictures == 0 {
		return errNoAnswer
	}
	a.pictures = min(a.pictures, a.request.N)
	a.told, a.finish = gjson.Get(a.body.Raw, "usage"), FinishStop
	return nil
}

func (a *imagesAnswer) answer(to []byte, f Final) ([]byte, string) {
	return appendInputCost(to, a.body.Raw, f), contentJSON
}

// usage: all that comes out is pictures, so their tokens are, unless the provider says
// otherwise. Without a word of the provider's, finished pictures are estimated by what was
// asked for, and an unfinished one by how far it was.
func (a *imagesAnswer) usage(mostPrompt, mostCompletion int64) Reported {
	r := ReadUsage(a.told, mostPrompt, mostCompletion)
	r.Images = a.pictures
	if !r.CompletionKnown {
		r.Completion = a.request.estimate(a.pictures)
		if a.pictures == 0 && a.partials > 0 {
			steps := a.request.partials + 1
			r.Completion = min(a.partials, steps)*a.request.estimate(1)/steps + 1
			r.Images = 1
		}
		r.Completion = min(r.Completion, mostCompletion)
	}
	if !a.told.Get("output_tokens_details").Exists() {
		r.OutputImage = r.Completion - r.Reasoning
	}
	return r
}

func (a *imagesAnswer) tokens(*Counter) int64 { return 0 }
