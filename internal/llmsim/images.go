package llmsim

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"slices"
	"strings"
)

const (
	maxImages   = 10
	maxPrompt   = 32_000 // characters
	pictureSide = 8      // pixels, whatever size is asked for
)

// imagesRequest asks for pictures of a prompt.
type imagesRequest struct {
	Model          string `json:"model"`
	Prompt         string `json:"prompt"`
	N              *int   `json:"n"`
	Size           string `json:"size"`
	Quality        string `json:"quality"`
	OutputFormat   string `json:"output_format"`
	Background     string `json:"background"`
	ResponseFormat string `json:"response_format"`
	Stream         bool   `json:"stream"`
}

// images answers with small pictures whose colour depends on the prompt. A model
// whose name has "dall-e" in it answers as those do: with addresses unless data is
// asked for, a revised prompt, and no usage.
type images struct {
	openAI
	silent
	req *imagesRequest
}

func readImages(_ *http.Request, body []byte) (*turn, func(openAI) dialect, *apiError) {
	req := &imagesRequest{}
	if fault := decode(body, req); fault != nil {
		return nil, nil, fault
	}
	sizes := []string{"", "auto", "256x256", "512x512", "1024x1024", "1536x1024", "1024x1536", "1792x1024", "1024x1792"}
	qualities := []string{"", "auto", "low", "medium", "high", "standard", "hd"}
	switch {
	case req.Model == "":
		return nil, nil, missing("model")
	case req.Prompt == "":
		return nil, nil, missing("prompt")
	case len(req.Prompt) > maxPrompt:
		return nil, nil, invalid("prompt", "string_above_max_length", fmt.Sprintf("Invalid 'prompt': string too long. Expected at most %d characters.", maxPrompt))
	case req.N != nil && (*req.N < 1 || *req.N > maxImages):
		return nil, nil, invalid("n", "integer_out_of_range", fmt.Sprintf("Invalid 'n': expected a value between 1 and %d.", maxImages))
	case !slices.Contains(sizes, req.Size):
		return nil, nil, invalid("size", "invalid_value", fmt.Sprintf("Invalid value: '%s'.", req.Size))
	case !slices.Contains(qualities, req.Quality):
		return nil, nil, invalid("quality", "invalid_value", fmt.Sprintf("Invalid value: '%s'.", req.Quality))
	case req.Stream:
		return nil, nil, invalid("stream", "unsupported_parameter", "The simulator does not stream pictures.")
	}
	t := &turn{model: req.Model, choices: 1, mute: true}
	return t, func(a openAI) dialect { return &images{openAI: a, req: req} }, nil
}

func (m *images) whole(*output) string {
	n := 1
	if m.req.N != nil {
		n = *m.req.N
	}
	old := strings.Contains(m.turn.model, "dall-e")
	var data []string
	for i := range n {
		one := fmt.Sprintf(`{"b64_json":"%s"}`, base64.StdEncoding.EncodeToString(picture(fmt.Sprint(m.req.Prompt, i))))
		if old && m.req.ResponseFormat != "b64_json" {
			one = fmt.Sprintf(`{"revised_prompt":%s,"url":"https://images.invalid/sim/%d/%d.png"}`, quoted(m.req.Prompt), m.id, i)
		}
		data = append(data, one)
	}
	all := strings.Join(data, ",")
	if old {
		return fmt.Sprintf(`{"created":%d,"data":[%s]}`, m.created, all)
	}
	usage := m.usage(n)
	if usage != "" {
		usage = `,"usage":` + usage
	}
	return fmt.Sprintf(`{"created":%d,"background":"%s","data":[%s],"output_format":"%s","quality":"%s","size":"%s"%s}`,
		m.created, or(m.req.Background, "opaque"), all, or(m.req.OutputFormat, "png"), m.quality(), m.size(), usage)
}

// quality and size are what "auto" and nothing come to.
func (m *images) quality() string {
	if q := m.req.Quality; q == "low" || q == "high" {
		return q
	}
	return "medium"
}

func (m *images) size() string {
	if m.req.Size == "auto" {
		return "1024x1024"
	}
	return or(m.req.Size, "1024x1024")
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// usage counts the prompt as text, and each picture by its quality and shape.
func (m *images) usage(n int) string {
	switch usage, scripted := scriptedUsage(m.script); {
	case m.script.Usage == UsageNone:
		return ""
	case scripted:
		return usage
	}
	each := map[string]int{"low": 272, "medium": 1056, "high": 4160}[m.quality()]
	if m.size() != "1024x1024" { // half as wide again
		each = each * 3 / 2
	}
	in, out := CountTokens(m.req.Prompt), each*n
	return fmt.Sprintf(`{"input_tokens":%d,"input_tokens_details":{"image_tokens":0,"text_tokens":%d},"output_tokens":%d,"output_tokens_details":{"image_tokens":%d,"text_tokens":0},"total_tokens":%d}`,
		in, in, out, out, in+out)
}

// picture is a PNG of one colour.
func picture(prompt string) []byte {
	shade := pick(prompt, 1<<24)
	canvas := image.NewRGBA(image.Rect(0, 0, pictureSide, pictureSide))
	for x := range pictureSide {
		for y := range pictureSide {
			canvas.Set(x, y, color.RGBA{R: byte(shade >> 16), G: byte(shade >> 8), B: byte(shade), A: 255})
		}
	}
	var b bytes.Buffer
	_ = png.Encode(&b, canvas) // a buffer takes everything
	return b.Bytes()
}
