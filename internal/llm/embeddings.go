package llm

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	maxInputs       = 2048 // of one request for embeddings
	inputOverhead   = 2    // tokens around one input
	maxDimensions   = 1 << 16
	embeddingsInput = "input"
)

// The fields of a request for embeddings that are read.
var embeddingsGoverned = [...]string{
	embeddingsFieldModel:  "model",
	embeddingsFieldInput:  embeddingsInput,
	embeddingsFieldFormat: "encoding_format",
	embeddingsFieldSize:   "dimensions",
}

const (
	embeddingsFieldModel = iota
	embeddingsFieldInput
	embeddingsFieldFormat
	embeddingsFieldSize
	embeddingsFields
)

// embeddingsRequest is a request for embeddings: of a text, of tokens, or of several of
// either.
type embeddingsRequest struct {
	Request
	at     [embeddingsFields]member
	sizes  []int64  // of each input, in tokens at most
	tokens int64    // in inputs that are given as tokens
	texts  []string // the other inputs
}

// ParseEmbeddings reads the body of a request for embeddings, which is copied. The error
// is a [*RequestError].
func ParseEmbeddings(body []byte) (*Request, error) {
	r := &embeddingsRequest{Request: Request{Operation: OpEmbeddings, N: 1, body: string(body)}}
	r.form = r
	r.Lacks = Kinds{AudioIn: true, ImageIn: true, AudioOut: true, ImageOut: true, HourWrite: true}
	root, err := object(r.body)
	if err != nil {
		return nil, err
	}
	var values [embeddingsFields]gjson.Result
	if err := locate(root, embeddingsGoverned[:], r.at[:], values[:], ignored); err != nil {
		return nil, err
	}
	if r.Model, err = modelOf(values[embeddingsFieldModel]); err != nil {
		return nil, err
	}
	if _, err := integer(values[embeddingsFieldSize], "dimensions", maxDimensions); err != nil {
		return nil, err
	}
	switch format := values[embeddingsFieldFormat]; {
	case format.Type == gjson.Null, format.Str == "float", format.Str == "base64":
	default:
		return nil, &RequestError{Param: "encoding_format", Message: "'encoding_format' must be 'float' or 'base64'."}
	}
	if err := r.readInput(values[embeddingsFieldInput]); err != nil {
		return nil, err
	}
	return &r.Request, nil
}

// ignored is for fields that bring nothing that is paid for.
func ignored(string, gjson.Result) {}

func (r *embeddingsRequest) readInput(input gjson.Result) error {
	if input.Type == gjson.String {
		r.readText(input)
		return nil
	}
	first := input.Get("0")
	if !input.IsArray() || !first.Exists() {
		return &RequestError{Param: embeddingsInput, Message: "'input' must be a string, or a non-empty array of strings or tokens."}
	}
	if first.Type == gjson.Number {
		return r.readTokens(input, embeddingsInput)
	}
	var fault error
	count := 0
	input.ForEach(func(_, element gjson.Result) bool {
		switch {
		case count == maxInputs:
			fault = &RequestError{Param: embeddingsInput, Message: fmt.Sprintf("'input' must have at most %d elements.", maxInputs)}
		case element.Type == gjson.String:
			r.readText(element)
		case element.IsArray():
			fault = r.readTokens(element, fmt.Sprintf("input[%d]", count))
		default:
			fault = &RequestError{Param: fmt.Sprintf("input[%d]", count), Message: "An input must be a string or an array of tokens."}
		}
		count++
		return fault == nil
	})
	return fault
}

func (r *embeddingsRequest) readText(text gjson.Result) {
	r.sizes = append(r.sizes, int64(len(text.Str))+inputOverhead)
	r.texts = append(r.texts, text.Str)
}

func (r *embeddingsRequest) readTokens(tokens gjson.Result, param string) error {
	count, sound := int64(0), true
	tokens.ForEach(func(_, token gjson.Result) bool {
		count++
		sound = token.Type == gjson.Number && strings.Trim(token.Raw, "0123456789") == ""
		return sound
	})
	if !sound {
		return &RequestError{Param: param, Message: "Tokens must be integers."}
	}
	r.sizes = append(r.sizes, count+inputOverhead)
	r.tokens += count
	return nil
}

// promptBound: no input is longer than the model's context.
func (r *embeddingsRequest) promptBound(m *Model) (bound int64) {
	for _, size := range r.sizes {
		if m.Context > 0 {
			size = min(size, m.Context)
		}
		bound += size
	}
	return bound
}

func (r *embeddingsRequest) promptEstimate(c *Counter, _ *Model) int64 {
	tokens := r.tokens
	for _, text := range r.texts {
		tokens += c.Count(text)
	}
	return tokens
}

func (r *embeddingsRequest) outputBound(*Model) int64 { return 0 }

func (r *embeddingsRequest) repeatable() bool { return false }

func (r *embeddingsRequest) thread() (named, beginning string) { return "", "" }

func (r *embeddingsRequest) send(d *Deployment, _ int64, _ *Transcript) (Outbound, Rendition, error) {
	if err := spoken(d, r.Operation); err != nil {
		return Outbound{}, Rendition{}, err
	}
	a := &embeddingsAnswer{}
	return d.outbound(r.Operation, false, r.renamed(r.at[embeddingsFieldModel], d)), Rendition{read: a, write: a}, nil
}

// spoken refuses what the deployment's protocol has no words for.
func spoken(d *Deployment, o Operation) error {
	if d.Provider.Protocol == ProtocolOpenAI {
		return nil
	}
	return &RequestError{Param: "model", Message: fmt.Sprintf("This model's provider has no %s.", o)}
}

// renamed is the body with the deployment's name of the model.
func (r *Request) renamed(at member, d *Deployment, edits ...edit) []byte {
	if r.Model != d.Model {
		edits = append(edits, edit{at.start, at.end, d.quoted})
	}
	return appendEdited(make([]byte, 0, len(r.body)+patchRoom), r.body, edits)
}

// embeddingsAnswer reads embeddings.
type embeddingsAnswer struct {
	heard
	unstreamed
	body, told gjson.Result
}

func (a *embeddingsAnswer) whole(answer *Answer) (err error) {
	if a.body, err = wholeJSON(answer); err != nil {
		return err
	}
	if !a.body.Get("data.0").Exists() {
		return errNoAnswer
	}
	a.told = gjson.Get(a.body.Raw, "usage")
	return nil
}

func (a *embeddingsAnswer) usage(mostPrompt, _ int64) Reported {
	return ReadUsage(a.told, mostPrompt, 0)
}

func (a *embeddingsAnswer) tokens(*Counter) int64 { return 0 }

func (a *embeddingsAnswer) answer(to []byte, f Final) ([]byte, string) {
	if !f.Estimated {
		return appendWithCost(to, a.body.Raw, a.told, f), contentJSON
	}
	return appendPatchedUsage(to, a.body.Raw, patchedUsage(a.told, f, "prompt_tokens", "")), contentJSON
}

// unstreamed is of answers that are never streamed.
type unstreamed struct{}

func (unstreamed) event([]byte) (Chunk, error)         { return Chunk{}, ErrBrokenEvent }
func (unstreamed) passed(Event) ([]byte, error)        { return nil, ErrBrokenEvent }
func (unstreamed) closing(to []byte, _ Final) []byte   { return to }
func (unstreamed) failing(to []byte, _ Failure) []byte { return to }
