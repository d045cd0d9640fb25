package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/llm"
)

// loadCatalogue reads the file that CATALOG_FILE names, or the embedded one, with keys from
// getenv.
func loadCatalogue(c *config.Config, getenv func(string) string) (*llm.Catalogue, error) {
	name := c.CatalogFile
	if name == "" {
		return llm.LoadCatalogue(llm.DefaultCatalogue, getenv)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("CATALOG_FILE: %w", err) // which has the path
	}
	catalogue, err := llm.LoadCatalogue(text, getenv)
	if err != nil {
		return nil, fmt.Errorf("CATALOG_FILE %s: %w", name, err)
	}
	return catalogue, nil
}

// tellCatalogue says what of the catalogue cannot be used. Most need few of its providers:
// that others have no key is worth a warning where the chat suffers.
func (a *App) tellCatalogue(catalogue *llm.Catalogue) error {
	if len(catalogue.Models()) == 0 {
		a.log.Warn("no provider has a key, so no model can be reached and chat messages will be refused: set one, such as OPENAI_API_KEY")
		return nil
	}
	whole, err := loadCatalogue(a.config, func(name string) string { // as if each had one
		if strings.HasSuffix(name, "_FILE") {
			return ""
		}
		return "any"
	})
	if err != nil {
		return err
	}
	var without []string
	for _, p := range whole.Providers() {
		if !slices.ContainsFunc(catalogue.Providers(), func(has *llm.Provider) bool { return has.Name == p.Name }) {
			without = append(without, p.Name)
		}
	}
	if len(without) > 0 {
		a.log.Info("providers without a key are left out", "providers", strings.Join(without, ", "), "models_left_out", len(whole.Models())-len(catalogue.Models()))
	}
	if _, err := catalogue.Model(a.config.ChatModel); err != nil {
		a.log.Warn("CHAT_MODEL is not available: chat messages will be refused", "model", a.config.ChatModel)
	}
	return nil
}
