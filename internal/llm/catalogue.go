package llm

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// DefaultCatalogue is the catalogue used where the configuration names none.
//
//go:embed catalogue.yaml
var DefaultCatalogue []byte

// Protocols a provider may speak. ProtocolAnthropic is read from catalogues but
// not spoken yet, so its deployments are not usable.
const (
	ProtocolOpenAI    = "openai"
	ProtocolAnthropic = "anthropic"
)

// Names of the request field that limits an answer's length.
const (
	FieldMaxTokens           = "max_tokens"
	FieldMaxCompletionTokens = "max_completion_tokens"
)

const (
	openAIHost         = "api.openai.com"
	userAgent          = "KikuAI"
	defaultImageTokens = 4096
	maxKeyFile         = 16 << 10 // bytes
)

// Catalogue is the models that can be reached, and by which way. It never changes.
type Catalogue struct {
	models []*Model
	byID   map[string]*Model
	notes  []string
}

// Model is what clients ask for by its ID.
type Model struct {
	ID          string
	Prices      map[string]string // USD per million tokens as decimals, by kind of token
	Context     int64             // tokens of prompt and answer together
	MaxOutput   int64             // tokens of one answer
	ImageTokens int64             // the most one image counts as
	Fallbacks   []string          // models that may answer in its place

	deployments []*Deployment // usable ones
	weight      int           // sum over deployments
}

// Deployment is one way to reach a model.
type Deployment struct {
	Provider *Provider
	Model    string // its name there
	Weight   int

	name         string
	target       *url.URL
	quoted       string // Model as JSON
	whole, event http.Header
}

// Name identifies the deployment, such as "openai/gpt-4o-mini".
func (d *Deployment) Name() string { return d.name }

// Provider is a place where models run.
type Provider struct {
	Name     string
	Protocol string
	Local    bool // may live on loopback or a private network

	// MaxTokensField is the only field the provider knows for an answer's length,
	// "" where it knows both of OpenAI's.
	MaxTokensField string

	base          *url.URL
	defaultField  string
	authorization []string // header value; nil: no key is sent
	usable        bool
}

// lengthField is the field that an answer's length is sent in, where the client
// used the given one ("" for none).
func (p *Provider) lengthField(used string) string {
	switch {
	case p.MaxTokensField != "":
		return p.MaxTokensField
	case used != "":
		return used
	}
	return p.defaultField
}

// LoadCatalogue reads a catalogue and takes the providers' keys from the
// environment: api_key_env names the variable, or, with _FILE appended, the
// variable with the file. All faults are reported together; nothing with a fault
// is used. A missing key is no fault, see Notes.
func LoadCatalogue(text []byte, getenv func(string) string) (*Catalogue, error) {
	var file catalogueFile
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	if faults := file.check(); len(faults) > 0 {
		return nil, fmt.Errorf("catalogue: %w", errors.Join(faults...))
	}
	c := &Catalogue{byID: make(map[string]*Model, len(file.Models))}
	providers, err := c.providers(file.Providers, getenv)
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	for _, m := range file.Models {
		c.add(m, providers)
	}
	return c, nil
}

// Models are those that can be asked, in the catalogue's order.
func (c *Catalogue) Models() []*Model { return c.models }

// Model finds a usable model. ErrModelUnknown.
func (c *Catalogue) Model(id string) (*Model, error) {
	if m := c.byID[id]; m != nil {
		return m, nil
	}
	return nil, ErrModelUnknown
}

// Notes say what of the catalogue is not usable and why, for the log at start.
func (c *Catalogue) Notes() []string { return c.notes }

func (c *Catalogue) providers(specs []providerSpec, getenv func(string) string) (map[string]*Provider, error) {
	providers := make(map[string]*Provider, len(specs))
	var faults []error
	for _, spec := range specs {
		p := &Provider{
			Name: spec.Name, Protocol: spec.Protocol, Local: spec.Local,
			MaxTokensField: spec.MaxTokensField,
			defaultField:   FieldMaxTokens,
		}
		base, err := url.Parse(strings.TrimRight(spec.BaseURL, "/"))
		if err != nil {
			faults = append(faults, fmt.Errorf("provider %s: %w", p.Name, err))
			continue
		}
		p.base = base
		// OpenAI's reasoning models refuse max_tokens, its other models know both;
		// most servers that imitate it ignore max_completion_tokens.
		if base.Hostname() == openAIHost {
			p.defaultField = FieldMaxCompletionTokens
		}
		key, err := secret(spec.APIKeyEnv, getenv)
		if err != nil {
			faults = append(faults, fmt.Errorf("provider %s: %w", p.Name, err))
		}
		if key != "" {
			p.authorization = []string{"Bearer " + key}
		}
		switch {
		case p.Protocol != ProtocolOpenAI:
			c.notes = append(c.notes, fmt.Sprintf("provider %s is not usable yet: protocol %s is not spoken", p.Name, p.Protocol))
		case key == "" && !p.Local:
			c.notes = append(c.notes, fmt.Sprintf("provider %s is not usable: %s is not set", p.Name, spec.APIKeyEnv))
		default:
			p.usable = true
		}
		providers[p.Name] = p
	}
	return providers, errors.Join(faults...)
}

func (c *Catalogue) add(spec modelSpec, providers map[string]*Provider) {
	m := &Model{
		ID: spec.ID, Prices: spec.Prices, Context: spec.Context, MaxOutput: spec.MaxOutput,
		ImageTokens: spec.ImageTokens, Fallbacks: spec.Fallbacks,
	}
	if m.ImageTokens == 0 {
		m.ImageTokens = defaultImageTokens
	}
	for _, d := range spec.Deployments {
		provider := providers[d.Provider]
		if !provider.usable {
			continue
		}
		weight := 1
		if d.Weight != nil {
			weight = *d.Weight
		}
		m.deployments = append(m.deployments, newDeployment(provider, d.Model, weight))
		m.weight += weight
	}
	if len(m.deployments) == 0 {
		c.notes = append(c.notes, fmt.Sprintf("model %s is not offered: no usable deployment", m.ID))
		return
	}
	c.models = append(c.models, m)
	c.byID[m.ID] = m
}

// newDeployment prepares all of a request that is the same for every call.
func newDeployment(p *Provider, model string, weight int) *Deployment {
	target := *p.base
	target.Path += "/chat/completions"
	target.RawPath = ""
	quoted, _ := json.Marshal(model) // a string always encodes
	header := func(accept string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}, "Accept": {accept}, "User-Agent": {userAgent}}
		if p.authorization != nil {
			h["Authorization"] = p.authorization
		}
		return h
	}
	return &Deployment{
		Provider: p, Model: model, Weight: weight,
		name: p.Name + "/" + model, target: &target, quoted: string(quoted),
		whole: header("application/json"), event: header("text/event-stream"),
	}
}

// Pick chooses a deployment by weight.
func (m *Model) Pick() *Deployment {
	if len(m.deployments) == 1 {
		return m.deployments[0]
	}
	n := rand.IntN(m.weight)
	for _, d := range m.deployments {
		if n -= d.Weight; n < 0 {
			return d
		}
	}
	return m.deployments[len(m.deployments)-1]
}

// Owner names the provider that is listed as the model's.
func (m *Model) Owner() string { return m.deployments[0].Provider.Name }

// secret reads a variable or the file that its _FILE sibling names. Errors name
// the variable, never its value.
func secret(variable string, getenv func(string) string) (string, error) {
	if variable == "" {
		return "", nil
	}
	value, path := getenv(variable), getenv(variable+"_FILE")
	switch {
	case value != "" && path != "":
		return "", fmt.Errorf("%s and %s_FILE are both set", variable, variable)
	case path != "":
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("%s_FILE: %w", variable, err)
		}
		defer file.Close()
		content, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
		if err != nil {
			return "", fmt.Errorf("%s_FILE: %w", variable, err)
		}
		variable, value = variable+"_FILE", string(content)
	}
	value = strings.TrimSpace(value)
	for _, r := range value {
		if r <= ' ' || r > '~' {
			return "", fmt.Errorf("%s holds characters that no API key has", variable)
		}
	}
	return value, nil
}
