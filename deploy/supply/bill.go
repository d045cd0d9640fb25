package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// document is a CycloneDX bill of materials, as far as this program writes one. It names
// no time and no machine: two bills of the same sources are the same.
type document struct {
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Serial       string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type     string          `json:"type"`
	Ref      string          `json:"bom-ref"`
	Name     string          `json:"name"`
	Version  string          `json:"version"`
	Hashes   []hash          `json:"hashes,omitempty"`
	Licences []licenceChoice `json:"licenses,omitempty"`
	URL      string          `json:"purl"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type licenceChoice struct {
	Expression string `json:"expression"`
}

type dependency struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

const ownName = "github.com/kikuai/kikuai"

// bill writes the bill of materials of a version.
func bill(parts []part, version string) ([]byte, error) {
	own := part{ecosystem: "go", name: ownName, version: version}
	d := document{
		Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata: metadata{component{Type: "application", Ref: own.purl(), Name: "kikuai", Version: version, URL: own.purl()}},
	}
	uses := dependency{Ref: own.purl(), On: []string{}}
	for _, p := range parts {
		found, err := licences(p)
		if err != nil {
			return nil, err
		}
		c := component{
			Type: "library", Ref: p.purl(), Name: p.name, Version: p.version, URL: p.purl(),
			Licences: []licenceChoice{{expression(found)}},
		}
		if p.hash != "" {
			c.Hashes = []hash{{p.algorithm, p.hash}}
		}
		d.Components = append(d.Components, c)
		uses.On = append(uses.On, p.purl())
	}
	d.Dependencies = []dependency{uses}
	content, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	d.Serial = serial(content)
	text, err := json.MarshalIndent(d, "", "  ")
	return append(text, '\n'), err
}

// serial is a UUID made of the content, of the version that RFC 9562 leaves for that (8).
func serial(content []byte) string {
	sum := sha256.Sum256(content)
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
