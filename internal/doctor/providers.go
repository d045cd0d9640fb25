package doctor

import (
	"context"
	"net/http"

	"github.com/kikuai/kikuai/internal/llm"
)

// asker asks a provider for its models, which costs nothing.
type asker interface {
	Ask(ctx context.Context, p *llm.Provider) (status int, err error)
}

// Providers are those of a catalogue, and what the chat needs of it.
type Providers struct {
	Catalogue *llm.Catalogue
	Client    asker
	ChatModel string
}

// Checks of the providers, one for each that has a key.
func (p Providers) Checks() []Check {
	checks := []Check{{"catalogue", p.catalogue}}
	for _, one := range p.Catalogue.Providers() {
		checks = append(checks, Check{"provider." + one.Name, func(ctx context.Context) []Finding { return p.ask(ctx, one) }})
	}
	return checks
}

func (p Providers) catalogue(context.Context) []Finding {
	models := len(p.Catalogue.Models())
	if models == 0 {
		return []Finding{fault("set a provider's key, such as OPENAI_API_KEY, or name a catalogue with a local provider in CATALOG_FILE", "No model can be reached: no provider has a key.")}
	}
	if _, err := p.Catalogue.Model(p.ChatModel); err != nil {
		return []Finding{fault("set CHAT_MODEL to a model that GET /v1/models lists, or its provider's key", "CHAT_MODEL is %s, which cannot be reached: chat messages are refused.", p.ChatModel)}
	}
	return []Finding{well("%d models can be reached by %d providers.", models, len(p.Catalogue.Providers()))}
}

func (p Providers) ask(ctx context.Context, one *llm.Provider) []Finding {
	status, err := p.Client.Ask(ctx, one)
	switch {
	case err != nil:
		return []Finding{warning("look whether this machine reaches it (DNS, firewall), and at the provider's status page", "Provider %s does not answer: %s.", one.Name, reason(err))}
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return []Finding{fault("set the key that the provider's console shows", "Provider %s refuses our key (%d).", one.Name, status)}
	case status == http.StatusTooManyRequests:
		return []Finding{warning("look at the limits and the balance in the provider's console", "Provider %s says that we ask too much (429).", one.Name)}
	case status >= http.StatusInternalServerError:
		return []Finding{warning("look at the provider's status page", "Provider %s is not well: it answers %d.", one.Name, status)}
	case status == http.StatusOK:
		return []Finding{well("Provider %s takes our key.", one.Name)}
	}
	return []Finding{well("Provider %s answers; it has no list of models to ask for (%d).", one.Name, status)}
}
