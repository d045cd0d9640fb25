package llm

import (
	"fmt"

	"github.com/tidwall/gjson"
)

const (
	maxPictures = 10 // n
	maxPartials = 3

	// What a picture counts as, in tokens, where the catalogue does not say, and what one
	// that is sent before it is finished adds.
	mostPictureTokens = 16_384
	partialTokens     = 100
)

// The fields of a request for images that are read.
var imagesGoverned = [...]string{
	imagesFieldModel:    "model",
	imagesFieldPrompt:   "prompt",
	imagesFieldN:        "n",
	imagesFieldSize:     "size",
	imagesFieldQuality:  "quality",
	imagesFieldStream:   "stream",
	imagesFieldPartials: "partial_images",
	imagesFieldOutput:   "output_format",
	imagesFieldFrames:   "frame_count",
	imagesFieldVector:   "svg",
}

const (
	imagesFieldModel = iota
	imagesFieldPrompt
	imagesFieldN
	imagesFieldSize
	imagesFieldQuality
	imagesFieldStream
	imagesFieldPartials
	imagesFieldOutput
	imagesFieldFrames
	imagesFieldVector
	imagesFields
)

// imagesRequest is a request to make pictures.
type imagesRequest struct {
	Request
	at            [imagesFields]member
	prompt        string
	promptMost    int64
	partials      int64
	size, quality string
}

// ParseImages reads the body of a request for images, which is copied. The error is a
// [*RequestError].
func ParseImages(body []byte) (*Request, error) {
	r := &imagesRequest{Request: Request{Operation: OpImages, body: string(body)}}
	r.form = r
	r.Lacks = Kinds{AudioIn: true, AudioOut: true, HourWrite: true}
	root, err := object(r.body)
	if err != nil {
		return nil, err
	}
	var values [imagesFields]gjson.Result
	others := func(key string, value gjson.Result) { r.promptMost += boundOf(key, value) }
	if err := locate(root, imagesGoverned[:], r.at[:], values[:], others); err != nil {
		return nil, err
	}
	if err := r.read(&values); err != nil {
		return nil, err
	}
	r.Units.Images = r.N
	return &r.Request, nil
}

func (r *imagesRequest) read(values *[imagesFields]gjson.Result) error {
	var err error
	if r.Model, err = modelOf(values[imagesFieldModel]); err != nil {
		return err
	}
	prompt := values[imagesFieldPrompt]
	if prompt.Type != gjson.String || prompt.Str == "" {
		return &RequestError{Param: "prompt", Message: "'prompt' must be a non-empty string."}
	}
	r.prompt = prompt.Str
	r.promptMost += int64(len(prompt.Str)) + promptOverhead
	n, err := integer(values[imagesFieldN], "n", maxPictures)
	if err != nil {
		return err
	}
	r.N = max(1, n)
	if r.Stream, err = boolean(values[imagesFieldStream], "stream"); err != nil {
		return err
	}
	if partials := values[imagesFieldPartials]; partials.Raw != "0" {
		if r.partials, err = integer(partials, "partial_images", maxPartials); err != nil {
			return err
		}
	}
	r.size, r.quality = values[imagesFieldSize].Str, values[imagesFieldQuality].Str
	if r.Stream && r.N > 1 {
		return &RequestError{Param: "n", Message: "A streamed answer is one image here: leave 'n' out, or 'stream'."}
	}
	return r.readPriced(values)
}

// readPriced refuses what is billed otherwise than by the catalogue's prices.
func (r *imagesRequest) readPriced(values *[imagesFields]gjson.Result) error {
	for _, field := range []int{imagesFieldFrames, imagesFieldVector} {
		if values[field].Type != gjson.Null {
			return notPriced(imagesGoverned[field])
		}
	}
	if output := values[imagesFieldOutput].Str; output == "gif" || output == "svg" {
		return &RequestError{Param: "output_format", Message: fmt.Sprintf("The format '%s' is not offered here: it has no price of its own. Ask for png, jpeg or webp.", output)}
	}
	return nil
}

func notPriced(param string) error {
	return &RequestError{Param: param, Message: fmt.Sprintf("'%s' is not offered here: it has no price of its own.", param)}
}

func (r *imagesRequest) promptBound(*Model) int64 { return r.promptMost }

func (r *imagesRequest) promptEstimate(c *Counter, _ *Model) int64 {
	return c.Count(r.prompt) + answerTokens
}

func (r *imagesRequest) outputBound(m *Model) int64 {
	most := m.MaxOutput
	if most == 0 {
		most = mostPictureTokens
	}
	return most + r.partials*partialTokens
}

func (r *imagesRequest) repeatable() bool { return false }

func (r *imagesRequest) thread() (named, beginning string) { return "", "" }

func (r *imagesRequest) send(d *Deployment, _ int64, t *Transcript) (Outbound, Rendition, error) {
	if err := spoken(d, r.Operation); err != nil {
		return Outbound{}, Rendition{}, err
	}
	a := &imagesAnswer{heard: heard{text: t}, request: r}
	return d.outbound(r.Operation, r.Stream, r.renamed(r.at[imagesFieldModel], d)), Rendition{read: a, write: a}, nil
}

// pictureTokens are what one picture comes to, by quality and by whether it is square: as
// the first of the models counted that are priced by tokens.
var pictureTokens = map[string][2]int64{
	"low": {272, 408}, "medium": {1056, 1584}, "high": {4160, 6240},
}

// estimate is the tokens of so many pictures where the provider does not tell.
func (r *imagesRequest) estimate(pictures int64) int64 {
	tokens, known := pictureTokens[r.quality]
	if !known {
		tokens = pictureTokens["high"]
	}
	each := tokens[0]
	if r.size != "1024x1024" {
		each = tokens[1]
	}
	return pictures * each
}
