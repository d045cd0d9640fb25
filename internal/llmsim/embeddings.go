package llmsim

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	embeddingSize = 1536
	maxEmbeddings = 2048 // inputs of one request
)

// embeddingsRequest asks for the vectors of texts or lists of tokens.
type embeddingsRequest struct {
	Model          string          `json:"model"`
	Input          json.RawMessage `json:"input"`
	EncodingFormat string          `json:"encoding_format"`
	Dimensions     *int            `json:"dimensions"`

	inputs []string // what stands for each, equal for equal inputs
	tokens int64
}

// embeddings answers with vectors of length 1 that depend on the input alone.
type embeddings struct {
	openAI
	silent
	req *embeddingsRequest
	dim int
}

// silent is a dialect that does not stream.
type silent struct{}

func (silent) open(*output) []event            { return nil }
func (silent) begin(*output) []event           { return nil }
func (silent) piece(*output, int, int) []event { return nil }
func (silent) failure() event                  { return event{} }
func (silent) end(*output) []event             { return nil }

func readEmbeddings(_ *http.Request, body []byte) (*turn, func(openAI) dialect, *apiError) {
	req := &embeddingsRequest{}
	if fault := decode(body, req); fault != nil {
		return nil, nil, fault
	}
	dim := embeddingSize
	switch {
	case req.Model == "":
		return nil, nil, missing("model")
	case req.EncodingFormat != "" && req.EncodingFormat != "float" && req.EncodingFormat != "base64":
		return nil, nil, invalid("encoding_format", "invalid_value", "Invalid 'encoding_format': supported values are 'float' and 'base64'.")
	case req.Dimensions != nil && (*req.Dimensions < 1 || *req.Dimensions > embeddingSize):
		return nil, nil, invalid("dimensions", "integer_out_of_range", fmt.Sprintf("Invalid 'dimensions': expected a value between 1 and %d.", embeddingSize))
	case req.Dimensions != nil:
		dim = *req.Dimensions
	}
	if fault := req.read(gjson.ParseBytes(req.Input)); fault != nil {
		return nil, nil, fault
	}
	t := &turn{model: req.Model, choices: 1, mute: true}
	return t, func(a openAI) dialect { return &embeddings{openAI: a, req: req, dim: dim} }, nil
}

// read takes a text, texts, a list of tokens, or such lists.
func (r *embeddingsRequest) read(input gjson.Result) *apiError {
	all := input.Array()
	if !input.IsArray() || len(all) > 0 && all[0].Type == gjson.Number {
		all = []gjson.Result{input}
	}
	if !input.Exists() || input.Type == gjson.Null || len(all) == 0 || len(all) > maxEmbeddings {
		return invalid("input", "", fmt.Sprintf("Invalid 'input': expected a string or a list of 1 to %d inputs.", maxEmbeddings))
	}
	for _, one := range all {
		switch {
		case one.Type == gjson.String && one.Str != "":
			r.tokens += int64(CountTokens(one.Str))
			r.inputs = append(r.inputs, one.Str)
		case one.IsArray() && len(one.Array()) > 0:
			r.tokens += int64(len(one.Array()))
			r.inputs = append(r.inputs, plain(one.Raw))
		default:
			return invalid("input", "", "Invalid 'input': an input cannot be empty.")
		}
	}
	return nil
}

func (e *embeddings) whole(*output) string {
	var b strings.Builder
	b.WriteString(`{"object":"list","data":[`)
	for i, input := range e.req.inputs {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"object":"embedding","index":%d,"embedding":%s}`, i, e.encoded(vector(input, e.dim)))
	}
	fmt.Fprintf(&b, `],"model":%s`, quoted(e.turn.model))
	switch e.script.Usage {
	case "":
		fmt.Fprintf(&b, `,"usage":{"prompt_tokens":%d,"total_tokens":%d}`, e.req.tokens, e.req.tokens)
	case UsageNone:
	default:
		b.WriteString(`,"usage":` + e.script.Usage)
	}
	return b.String() + "}"
}

func (e *embeddings) encoded(v []float32) string {
	if e.req.EncodingFormat == "base64" {
		raw := make([]byte, 0, 4*len(v))
		for _, f := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
		}
		return `"` + base64.StdEncoding.EncodeToString(raw) + `"`
	}
	raw, err := json.Marshal(v)
	if err != nil { // finite numbers always encode
		return "[]"
	}
	return string(raw)
}

// vector is of length 1, the same for the same text.
func vector(text string, dim int) []float32 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // a hash never fails to write
	state, sum := h.Sum64(), 0.0
	v := make([]float32, dim)
	for i := range v {
		state = state*6364136223846793005 + 1442695040888963407
		f := float64(int64(state>>11)-1<<52) / (1 << 52)
		v[i] = float32(f)
		sum += f * f
	}
	for i := range v {
		v[i] = float32(float64(v[i]) / math.Sqrt(sum))
	}
	return v
}
