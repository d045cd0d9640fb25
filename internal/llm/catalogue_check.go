package llm

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
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
}

type modelSpec struct {
	ID          string            `yaml:"id"`
	Prices      map[string]string `yaml:"prices"`
	Context     int64             `yaml:"context"`
	MaxOutput   int64             `yaml:"max_output"`
	ImageTokens int64             `yaml:"image_tokens"`
	Deployments []deploymentSpec  `yaml:"deployments"`
	Fallbacks   []string          `yaml:"fallbacks"`
}

type deploymentSpec struct {
	Provider string `yaml:"provider"`
	Model    string `yaml:"model"`
	Weight   *int   `yaml:"weight"`
}

const (
	maxModels        = 10_000
	maxModelTokens   = 1 << 30
	maxWeight        = 1_000_000
	maxModelName     = 128 // characters
	maxProviderModel = 256
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
		if models[m.ID] {
			l.add(fmt.Sprintf("model %d (%.40q)", i+1, m.ID), "the id is taken")
		}
		models[m.ID] = true
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
	if !modelName.MatchString(m.ID) || len(m.ID) > maxModelName {
		l.add(where, "id must be 1 to %d of A-Z a-z 0-9 . _ : / @ -", maxModelName)
	}
	m.checkPrices(l, where)
	if m.Context <= 0 || m.Context > maxModelTokens {
		l.add(where, "context must be 1 to %d tokens", maxModelTokens)
	}
	if m.MaxOutput <= 0 || m.MaxOutput > m.Context {
		l.add(where, "max_output must be 1 to context tokens")
	}
	if m.ImageTokens < 0 || m.ImageTokens > maxModelTokens {
		l.add(where, "image_tokens must be 0 to %d", maxModelTokens)
	}
	if len(m.Deployments) == 0 {
		l.add(where, "no deployments")
	}
	for _, d := range m.Deployments {
		if !providers[d.Provider] {
			l.add(where, "unknown provider %.40q", d.Provider)
		}
		if d.Model == "" || len(d.Model) > maxProviderModel {
			l.add(where, "a deployment's model must have 1 to %d characters", maxProviderModel)
		}
		if d.Weight != nil && (*d.Weight <= 0 || *d.Weight > maxWeight) {
			l.add(where, "weight must be 1 to %d", maxWeight)
		}
	}
	for _, fallback := range m.Fallbacks {
		if !models[fallback] || fallback == m.ID {
			l.add(where, "fallback %.40q is not another model of this catalogue", fallback)
		}
	}
}

// checkPrices insists on what a bill needs: silence never means free.
func (m *modelSpec) checkPrices(l *faultList, where string) {
	for _, required := range []string{"input", "output"} {
		if _, stated := m.Prices[required]; !stated {
			l.add(where, `price %s is missing ("0" says free)`, required)
		}
	}
	known := []string{"input", "cached_input", "cache_write", "output", "reasoning"}
	for _, kind := range slices.Sorted(maps.Keys(m.Prices)) {
		price := m.Prices[kind]
		if !slices.Contains(known, kind) {
			l.add(where, "unknown price %.40q", kind)
		} else if !usdDecimal.MatchString(price) {
			l.add(where, "price %s must be a decimal of USD per million tokens, not %.40q", kind, price)
		}
	}
}
