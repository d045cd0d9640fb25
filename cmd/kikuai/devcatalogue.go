package main

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/kikuai/kikuai/internal/llm"
)

// simulated is the catalogue with every provider replaced by the simulated model at
// an address: the models keep their names, prices and protocols, and none needs a key.
func simulated(catalogue []byte, address string) ([]byte, error) {
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
		in := map[string]any{"name": provider["name"], "protocol": provider["protocol"], "base_url": address, "local": true}
		if in["protocol"] != llm.ProtocolAnthropic {
			in["protocol"], in["base_url"] = llm.ProtocolOpenAI, address+"/v1"
			in["responses"] = provider["name"] == "openai"
		}
		providers[i] = in
	}
	return yaml.Marshal(file)
}
