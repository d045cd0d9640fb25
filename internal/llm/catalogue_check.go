package llm

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"time"

	"gopkg.in/yaml.v3"
)

type catalogueFile struct {
	Providers []providerSpec `yaml:"providers"`
	Models    []modelSpec    `yaml:"models"`
}

type providerSpec struct {
	Name           string `yaml:"name"`
	Protocol       string `yaml:"protocol"`
	BaseURL        string `yaml:"base_url"`
	APIKeyEnv      string `yaml:"api_key_env"`
	Local          bool   `yaml:"local"`
	MaxTokensField string `yaml:"max_tokens_field"`

	Timeouts  timeoutsSpec `yaml:"timeouts"`
	Health    *bool        `yaml:"health"`    // nil: unless it is local
	Responses *bool        `yaml:"responses"` // nil: as the host is known to
}

type timeoutsSpec struct {
	Connect   period `yaml:"connect"`
	FirstByte period `yaml:"first_byte"`
	Stall     period `yaml:"stall"`
	Total     period `yaml:"total"`
}

func (t timeoutsSpec) durations() Timeouts {
	return Timeouts{Connect: time.Duration(t.Connect), FirstByte: time.Duration(t.FirstByte), Stall: time.Duration(t.Stall), Total: time.Duration(t.Total)}
}

// period is a duration, written as time.ParseDuration reads it, such as 1.5s.
type period time.Duration

// UnmarshalYAML reads a period, so that it cannot be mistaken for a bare number.
func (s *period) UnmarshalYAML(node *yaml.Node) error {
	d, err := time.ParseDuration(node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %.40q is not a duration such as 1.5s", node.Line, node.Value)
	}
	*s = period(d)
	return nil
}

type modelSpec struct {
	ID          string            `yaml:"id"`
	Aliases     []string          `yaml:"aliases"`
	Operations  []string          `yaml:"operations"`
	Prices      map[string]string `yaml:"prices"`
	Above       *tierSpec         `yaml:"above"`
	Context     int64             `yaml:"context"`
	MaxOutput   int64             `yaml:"max_output"`
	ImageTokens int64             `yaml:"image_tokens"`
	Sees        *bool             `yaml:"sees"` // nil: where image_tokens are stated
	Deployments []deploymentSpec  `yaml:"deployments"`
	Fallbacks   []string          `yaml:"fallbacks"`
	Routing     string            `yaml:"routing"`
	Sticky      *bool             `yaml:"sticky"` // nil: unless routing is least_latency
	HedgeAfter  period            `yaml:"hedge_after"`
}

// tierSpec are the prices of calls whose prompts have more tokens.
type tierSpec struct {
	Tokens int64             `yaml:"tokens"`
	Prices map[string]string `yaml:"prices"`
}

type deploymentSpec struct {
	Provider string `yaml:"provider"`
	Model    string `yaml:"model"`
	Weight   *int   `yaml:"weight"`

	MaxConcurrency int `yaml:"max_concurrency"`
}

const (
	maxModels        = 10_000
	maxModelTokens   = 1 << 30
	maxWeight        = 1_000_000
	maxModelName     = 128 // characters
	maxProviderModel = 256
	maxConcurrency   = 1_000_000
	maxDeployments   = 64 // of a model
	maxFallbacks     = 3  // of a model
	maxTimeout       = period(time.Hour)
)

// What prices are called, and which one must be stated for an operation.
var (
	tokenPriceNames = []string{
		"input", "cached_input", "cached_input_audio", "cache_write", "cache_write_1h", "input_audio", "input_image",
		"output", "reasoning", "output_audio", "output_image",
	}
	unitPrices = map[string]string{OperationImages: "image", OperationTranscriptions: "minute", OperationSpeech: "million_characters"}
	operations = []string{OperationChat, OperationEmbeddings, OperationImages, OperationTranscriptions, OperationSpeech}
)

var (
	providerName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
	modelName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]*$`)
	envName      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// usdDecimal is at most a million dollars, at least a nano-dollar fine.
	usdDecimal = regexp.MustCompile(`^(1000000(\.0{1,9})?|[0-9]{1,6}(\.[0-9]{1,9})?)$`)
)

// faultList collects what is wrong, each with the place it is in.
type faultList struct{ faults []error }

func (l *faultList) add(where, format string, args ...any) {
	l.faults = append(l.faults, fmt.Errorf("%s: %w", where, fmt.Errorf(format, args...)))
}

// check finds everything that is wrong with the file.
func (f *catalogueFile) check() []error {
	var l faultList
	if len(f.Providers) == 0 {
		l.faults = append(l.faults, errors.New("no providers"))
	}
	if len(f.Models) == 0 || len(f.Models) > maxModels {
		l.faults = append(l.faults, fmt.Errorf("there must be 1 to %d models, not %d", maxModels, len(f.Models)))
	}
	providers := map[string]bool{}
	for i, p := range f.Providers {
		where := fmt.Sprintf("provider %d (%.40q)", i+1, p.Name)
		if providers[p.Name] {
			l.add(where, "the name is taken")
		}
		providers[p.Name] = true
		p.check(&l, where)
	}
	models := map[string]bool{}
	for i, m := range f.Models {
		for _, id := range append([]string{m.ID}, m.Aliases...) {
			if models[id] {
				l.add(fmt.Sprintf("model %d (%.40q)", i+1, id), "the id is taken")
			}
			models[id] = true
		}
	}
	for i, m := range f.Models {
		m.check(&l, fmt.Sprintf("model %d (%.40q)", i+1, m.ID), providers, models)
	}
	return l.faults
}

func (p *providerSpec) check(l *faultList, where string) {
	if !providerName.MatchString(p.Name) {
		l.add(where, "name must be 1 to 32 of a-z 0-9 _ -")
	}
	if p.Protocol != ProtocolOpenAI && p.Protocol != ProtocolAnthropic {
		l.add(where, "protocol must be openai or anthropic")
	}
	if !slices.Contains([]string{"", FieldMaxTokens, FieldMaxCompletionTokens}, p.MaxTokensField) {
		l.add(where, "max_tokens_field must be max_tokens or max_completion_tokens")
	}
	switch {
	case p.APIKeyEnv == "" && !p.Local:
		l.add(where, "api_key_env is missing (only a provider with local: true needs no key)")
	case p.APIKeyEnv != "" && !envName.MatchString(p.APIKeyEnv):
		l.add(where, "api_key_env must be the name of an environment variable")
	}
	for _, timeout := range []period{p.Timeouts.Connect, p.Timeouts.FirstByte, p.Timeouts.Stall, p.Timeouts.Total} {
		if timeout < 0 || timeout > maxTimeout {
			l.add(where, "timeouts must be 0s to %s", time.Duration(maxTimeout))
		}
	}
	base, err := url.Parse(p.BaseURL)
	switch {
	case err != nil || base.Host == "" || base.Hostname() == "" || base.Scheme != "http" && base.Scheme != "https":
		l.add(where, "base_url must be an http or https URL with a host")
	case base.User != nil || base.RawQuery != "" || base.ForceQuery || base.Fragment != "":
		l.add(where, "base_url must have neither user, query nor fragment")
	case base.Scheme == "http" && !p.Local:
		l.add(where, "base_url must be https (http is for local: true)")
	}
}

func (m *modelSpec) check(l *faultList, where string, providers, models map[string]bool) {
	for _, id := range append([]string{m.ID}, m.Aliases...) {
		if !modelName.MatchString(id) || len(id) > maxModelName {
			l.add(where, "id %.40q must be 1 to %d of A-Z a-z 0-9 . _ : / @ -", id, maxModelName)
		}
	}
	for i, operation := range m.Operations {
		if !slices.Contains(operations, operation) || slices.Contains(m.Operations[:i], operation) {
			l.add(where, "operations must be some of chat, embeddings, images, transcriptions, speech, not %.40q", operation)
		}
	}
	m.checkPrices(l, where, m.Prices)
	if m.Above != nil {
		if m.Above.Tokens <= 0 || m.Above.Tokens > maxModelTokens {
			l.add(where, "above: tokens must be 1 to %d", maxModelTokens)
		}
		m.checkPrices(l, where+": above", m.Above.Prices)
	}
	m.checkSizes(l, where)
	if len(m.Deployments) == 0 || len(m.Deployments) > maxDeployments {
		l.add(where, "there must be 1 to %d deployments, not %d", maxDeployments, len(m.Deployments))
	}
	for _, d := range m.Deployments {
		d.check(l, where, providers)
	}
	if len(m.Fallbacks) > maxFallbacks {
		l.add(where, "there may be %d fallbacks, not %d", maxFallbacks, len(m.Fallbacks))
	}
	for _, fallback := range m.Fallbacks {
		if !models[fallback] || fallback == m.ID || slices.Contains(m.Aliases, fallback) {
			l.add(where, "fallback %.40q is not another model of this catalogue", fallback)
		}
	}
	if !slices.Contains([]string{"", RoutingWeighted, RoutingLeastLatency}, m.Routing) {
		l.add(where, "routing must be weighted or least_latency")
	}
	if m.HedgeAfter < 0 || m.HedgeAfter > maxTimeout {
		l.add(where, "hedge_after must be 0s to %s", time.Duration(maxTimeout))
	}
}

// offers says whether the model may be asked for an operation.
func (m *modelSpec) offers(operation string) bool {
	if len(m.Operations) == 0 {
		return operation == OperationChat
	}
	return slices.Contains(m.Operations, operation)
}

// checkSizes insists on the bounds of a worst case: a chat model has both, a model of
// embeddings takes a prompt, of others they may be unknown.
func (m *modelSpec) checkSizes(l *faultList, where string) {
	chat := m.offers(OperationChat)
	if m.Context < 0 || m.Context > maxModelTokens || m.Context == 0 && (chat || m.offers(OperationEmbeddings)) {
		l.add(where, "context must be 1 to %d tokens", maxModelTokens)
	}
	if m.MaxOutput < 0 || m.MaxOutput == 0 && chat || chat && m.MaxOutput > m.Context {
		l.add(where, "max_output must be 1 to context tokens")
	}
	if m.MaxOutput > maxModelTokens || m.ImageTokens < 0 || m.ImageTokens > maxModelTokens {
		l.add(where, "max_output and image_tokens must be 0 to %d", maxModelTokens)
	}
}

func (d *deploymentSpec) check(l *faultList, where string, providers map[string]bool) {
	if !providers[d.Provider] {
		l.add(where, "unknown provider %.40q", d.Provider)
	}
	if d.Model == "" || len(d.Model) > maxProviderModel {
		l.add(where, "a deployment's model must have 1 to %d characters", maxProviderModel)
	}
	if d.Weight != nil && (*d.Weight <= 0 || *d.Weight > maxWeight) {
		l.add(where, "weight must be 1 to %d", maxWeight)
	}
	if d.MaxConcurrency < 0 || d.MaxConcurrency > maxConcurrency {
		l.add(where, "max_concurrency must be 0 to %d", maxConcurrency)
	}
}

// checkPrices insists on what a bill needs: silence never means free. Prices of
// tokens are required where no other one covers what is done.
func (m *modelSpec) checkPrices(l *faultList, where string, prices map[string]string) {
	covered := len(m.Operations) > 0
	for _, operation := range m.Operations {
		_, stated := prices[unitPrices[operation]]
		covered = covered && stated
	}
	tokens := slices.ContainsFunc(tokenPriceNames, func(name string) bool { _, stated := prices[name]; return stated })
	for _, required := range []string{"input", "output"} {
		if _, stated := prices[required]; !stated && (tokens || !covered) {
			l.add(where, `price %s is missing ("0" says free)`, required)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(prices)) {
		price := prices[kind]
		if !slices.Contains(tokenPriceNames, kind) && !slices.Contains([]string{"image", "minute", "million_characters"}, kind) {
			l.add(where, "unknown price %.40q", kind)
		} else if !usdDecimal.MatchString(price) {
			l.add(where, "price %s must be a decimal of USD, not %.40q", kind, price)
		}
	}
}
