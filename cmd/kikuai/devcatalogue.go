package main

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// simulated is the catalogue with every provider replaced by the simulated model at
// baseURL: the models keep their names and prices, and none needs a key.
func simulated(catalogue []byte, baseURL string) ([]byte, error) {
	var file map[string]any
	if err := yaml.Unmarshal(catalogue, &file); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	providers, ok := file["providers"].([]any)
	if !ok {
		return nil, fmt.Errorf("catalogue: providers are %T", file["providers"])
	}
	for i, p := range providers {
		provider, ok := p.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("catalogue: a provider is %T", p)
		}
		providers[i] = map[string]any{"name": provider["name"], "protocol": "openai", "base_url": baseURL, "local": true}
	}
	return yaml.Marshal(file)
}
