package llm

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// DefaultCatalogue is the catalogue used where the configuration names none.
//
//go:embed catalogue.yaml
var DefaultCatalogue []byte

// Protocols a provider may speak.
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
}

// What may be done with a model.
const (
	OperationChat           = "chat" // by chat completions, messages and responses
	OperationEmbeddings     = "embeddings"
	OperationImages         = "images"         // images/generations
	OperationTranscriptions = "transcriptions" // audio/transcriptions
	OperationSpeech         = "speech"         // audio/speech
)

// Ways to choose among a model's deployments.
const (
	RoutingWeighted     = "weighted"      // by chance, in proportion to their weights
	RoutingLeastLatency = "least_latency" // the one that answers soonest
)

// Model is what clients ask for by its ID. A model with aliases is one Model for
// each of its names, with the same deployments.
type Model struct {
	ID          string
	Operations  []string          // what it may be asked for; at least one
	Prices      map[string]string // USD as decimals, by what is charged
	Above       int64             // tokens: a call with a longer prompt is charged by AbovePrices; 0: none is
	AbovePrices map[string]string
	Context     int64         // tokens of prompt and answer together; 0: unknown, not of a chat model
	MaxOutput   int64         // tokens of one answer; 0: unknown, not of a chat model
	ImageTokens int64         // the most one image counts as
	Sees        bool          // it takes pictures; unless stated, one with image_tokens does
	Fallbacks   []string      // models that may answer in its place
	Routing     string        // RoutingWeighted or RoutingLeastLatency
	Sticky      bool          // a conversation stays with a deployment; unless stated, it does where latency does not decide
	HedgeAfter  time.Duration // of silence, until another deployment is tried beside; 0: never

	deployments []*Deployment // usable ones
	weight      int           // sum over deployments
}

// Deployment is one way to reach a model.
type Deployment struct {
	Provider *Provider
	Model    string // its name there
	Weight   int

	// MaxConcurrency is how many calls at once it is given at most; 0: as many as it is
	// seen to bear.
	MaxConcurrency int

	name   string
	quoted string // Model as JSON
}

// Offers says whether the model may be asked for an operation.
func (m *Model) Offers(operation string) bool { return slices.Contains(m.Operations, operation) }

// Deployments of the model that can be used, in the catalogue's order; at least one.
// They are not to be changed.
func (m *Model) Deployments() []*Deployment { return m.deployments }

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

	Timeouts  Timeouts // those above zero are in force instead of the client's
	Health    bool     // it is asked now and then whether it is alive, unless stated where it is on the internet
	Responses bool     // it serves /responses itself

	base         *url.URL
	defaultField string
	keepsChat    bool // it keeps chat completions unless it is told not to
	ways         [operationCount]way
	usable       bool
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
// is used. A missing key is no fault: what it leaves out is not offered.
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
	providers, err := readProviders(file.Providers, getenv)
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

// Providers are those by which models can be reached, in the order of the models.
func (c *Catalogue) Providers() []*Provider {
	var all []*Provider
	for _, m := range c.models {
		for _, d := range m.deployments {
			if !slices.Contains(all, d.Provider) {
				all = append(all, d.Provider)
			}
		}
	}
	return all
}

// Model finds a usable model. ErrModelUnknown.
func (c *Catalogue) Model(id string) (*Model, error) {
	if m := c.byID[id]; m != nil {
		return m, nil
	}
	return nil, ErrModelUnknown
}

func readProviders(specs []providerSpec, getenv func(string) string) (map[string]*Provider, error) {
	providers := make(map[string]*Provider, len(specs))
	var faults []error
	for _, spec := range specs {
		p := &Provider{
			Name: spec.Name, Protocol: spec.Protocol, Local: spec.Local,
			MaxTokensField: spec.MaxTokensField,
			Timeouts:       spec.Timeouts.durations(), Health: !spec.Local,
			defaultField: FieldMaxTokens,
		}
		base, err := url.Parse(strings.TrimRight(spec.BaseURL, "/"))
		if err != nil {
			faults = append(faults, fmt.Errorf("provider %s: %w", p.Name, err))
			continue
		}
		p.base = base
		// OpenAI's reasoning models refuse max_tokens, its other models know both;
		// most servers that imitate it ignore max_completion_tokens.
		if host := base.Hostname(); host == openAIHost || strings.HasSuffix(host, "."+openAIHost) {
			p.defaultField = FieldMaxCompletionTokens
			p.Responses, p.keepsChat = true, true
		}
		if spec.Health != nil {
			p.Health = *spec.Health
		}
		if spec.Responses != nil {
			p.Responses = *spec.Responses
		}
		key, err := secret(spec.APIKeyEnv, getenv)
		if err != nil {
			faults = append(faults, fmt.Errorf("provider %s: %w", p.Name, err))
		}
		p.pave(key)
		p.usable = key != "" || p.Local
		providers[p.Name] = p
	}
	return providers, errors.Join(faults...)
}

// add offers a model under each of its names.
func (c *Catalogue) add(spec modelSpec, providers map[string]*Provider) {
	m := Model{
		ID: spec.ID, Operations: spec.Operations, Prices: spec.Prices, Context: spec.Context, MaxOutput: spec.MaxOutput,
		ImageTokens: spec.ImageTokens, Fallbacks: spec.Fallbacks,
		Routing:    cmp.Or(spec.Routing, RoutingWeighted),
		HedgeAfter: time.Duration(spec.HedgeAfter),
	}
	m.Sees = spec.ImageTokens > 0
	if spec.Sees != nil {
		m.Sees = *spec.Sees
	}
	m.Sticky = m.Routing != RoutingLeastLatency
	if spec.Sticky != nil {
		m.Sticky = *spec.Sticky
	}
	if spec.Above != nil {
		m.Above, m.AbovePrices = spec.Above.Tokens, spec.Above.Prices
	}
	if len(m.Operations) == 0 {
		m.Operations = []string{OperationChat}
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
		deployment := newDeployment(provider, d.Model, weight)
		deployment.MaxConcurrency = d.MaxConcurrency
		m.deployments = append(m.deployments, deployment)
		m.weight += weight
	}
	if len(m.deployments) == 0 {
		return
	}
	for _, id := range append([]string{spec.ID}, spec.Aliases...) {
		named := m
		named.ID = id
		c.models = append(c.models, &named)
		c.byID[id] = &named
	}
}

// newDeployment prepares all of a request that is the same for every call.
func newDeployment(p *Provider, model string, weight int) *Deployment {
	quoted, _ := json.Marshal(model) // a string always encodes
	return &Deployment{Provider: p, Model: model, Weight: weight, name: p.Name + "/" + model, quoted: string(quoted)}
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
