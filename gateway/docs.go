package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the description, its page and that page's style
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"gopkg.in/yaml.v3"
)

// The description of the API, which tests hold to the code.
var (
	//go:embed openapi.yaml
	openapiYAML []byte
	//go:embed docs.html
	docsHTML string
	//go:embed docs.css
	docsCSS string
)

const docsLife = "public, max-age=300"

// documents are the description of the API in its forms.
type documents struct{ yaml, json, page, graph document }

// document is a content that is the same for everybody.
type document struct {
	kind    string
	content []byte
	tag     string
	policy  string // Content-Security-Policy; "": none
}

func newDocument(kind string, content []byte) document {
	return document{kind: kind, content: content, tag: tagOf(content)}
}

// serve answers with the document.
func (d document) serve(c *fiber.Ctx) error {
	header := &c.Response().Header
	header.Set(fiber.HeaderCacheControl, docsLife)
	header.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	if d.policy != "" {
		header.Set(fiber.HeaderContentSecurityPolicy, d.policy)
		header.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	}
	return tagged(c, d.kind, d.content, d.tag)
}

// builtInDocuments are the documents, made once: they are the same for every server of a process.
var builtInDocuments = sync.OnceValues(newDocuments)

// newDocuments makes them from the description.
func newDocuments() (d documents, err error) {
	var whole map[string]any
	if err := yaml.Unmarshal(openapiYAML, &whole); err != nil {
		return d, fmt.Errorf("gateway: openapi.yaml: %w", err)
	}
	text, err := json.Marshal(whole)
	if err != nil {
		return d, fmt.Errorf("gateway: openapi.yaml: %w", err)
	}
	page, err := docsPage()
	if err != nil {
		return d, fmt.Errorf("gateway: docs.html: %w", err)
	}
	d.yaml, d.json = newDocument("application/yaml", openapiYAML), newDocument(fiber.MIMEApplicationJSON, text)
	d.graph = newDocument("text/plain; charset=utf-8", []byte(graphSchema))
	d.page = newDocument("text/html; charset=utf-8", page)
	style := sha256.Sum256([]byte(docsCSS))
	d.page.policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(style[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return d, nil
}

// description is what the page shows of OpenAPI's.
type description struct {
	Info struct {
		Title       string `yaml:"title"`
		Description string `yaml:"description"`
	} `yaml:"info"`
	Tags []struct {
		Name        string `yaml:"name"`
		Description string `yaml:"description"`
	} `yaml:"tags"`
	Errors []struct {
		Code        string `yaml:"code"`
		Status      int    `yaml:"status"`
		Description string `yaml:"description"`
	} `yaml:"x-error-codes"`
	Paths      yaml.Node `yaml:"paths"` // in their order
	Components struct {
		Parameters map[string]docsParameter `yaml:"parameters"`
		Schemas    yaml.Node                `yaml:"schemas"`
	} `yaml:"components"`
}

type docsParameter struct {
	Ref         string     `yaml:"$ref"`
	Name        string     `yaml:"name"`
	In          string     `yaml:"in"`
	Description string     `yaml:"description"`
	Schema      docsSchema `yaml:"schema"`
}

type docsOperation struct {
	Method, Path string

	Tags        []string                `yaml:"tags"`
	Summary     string                  `yaml:"summary"`
	Description string                  `yaml:"description"`
	Parameters  []docsParameter         `yaml:"parameters"`
	Body        docsBody                `yaml:"requestBody"`
	Responses   map[string]docsResponse `yaml:"responses"`
}

type docsBody struct {
	Content map[string]struct {
		Schema docsSchema `yaml:"schema"`
	} `yaml:"content"`
}

type docsResponse struct {
	Description string `yaml:"description"`
	docsBody    `yaml:",inline"`
}

// Statuses are the responses' that are no errors, in order.
func (o docsOperation) Statuses() (statuses []string) {
	for status := range o.Responses {
		if status != "default" {
			statuses = append(statuses, status)
		}
	}
	slices.Sort(statuses)
	return statuses
}

// docsSchema is as much of a JSON schema as the page tells.
type docsSchema struct {
	Name string `yaml:"-"`

	Ref         string       `yaml:"$ref"`
	Type        any          `yaml:"type"`
	Const       any          `yaml:"const"`
	Enum        []any        `yaml:"enum"`
	Description string       `yaml:"description"`
	Default     any          `yaml:"default"`
	Items       *docsSchema  `yaml:"items"`
	AllOf       []docsSchema `yaml:"allOf"`
	OneOf       []docsSchema `yaml:"oneOf"`
	Required    []string     `yaml:"required"`
	Properties  yaml.Node    `yaml:"properties"`
}

// Target is the name of the schema that is referred to.
func (s docsSchema) Target() string { return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:] }

// Members are the properties in their order.
func (s docsSchema) Members() (members []docsSchema, err error) {
	return named(s.Properties)
}

// Requires tells whether a property is always there.
func (s docsSchema) Requires(name string) bool { return slices.Contains(s.Required, name) }

// Words say what values the schema is for, where they are no reference.
func (s docsSchema) Words() string {
	switch {
	case s.Const != nil:
		return fmt.Sprint(s.Const)
	case len(s.Enum) > 0:
		words := make([]string, len(s.Enum))
		for i, value := range s.Enum {
			words[i] = "null"
			if value != nil {
				words[i] = fmt.Sprint(value)
			}
		}
		return strings.Join(words, " · ")
	}
	if list, is := s.Type.([]any); is {
		words := make([]string, len(list))
		for i, one := range list {
			words[i] = fmt.Sprint(one)
		}
		return strings.Join(words, " or ")
	}
	if s.Type == nil {
		return ""
	}
	return fmt.Sprint(s.Type)
}

// named reads a mapping of schemas, in its order.
func named(mapping yaml.Node) (list []docsSchema, err error) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		var s docsSchema
		if err := mapping.Content[i+1].Decode(&s); err != nil {
			return nil, err
		}
		s.Name = mapping.Content[i].Value
		list = append(list, s)
	}
	return list, nil
}

// operations are those of a tag, in their order.
func (d *description) operations(tag string) (list []docsOperation, err error) {
	for i := 0; i+1 < len(d.Paths.Content); i += 2 {
		methods := d.Paths.Content[i+1]
		for j := 0; j+1 < len(methods.Content); j += 2 {
			method := methods.Content[j].Value
			if method == "parameters" {
				continue
			}
			o := docsOperation{Method: strings.ToUpper(method), Path: d.Paths.Content[i].Value}
			if err := methods.Content[j+1].Decode(&o); err != nil {
				return nil, err
			}
			for k, p := range o.Parameters {
				if p.Ref != "" {
					o.Parameters[k] = d.Components.Parameters[p.Ref[strings.LastIndexByte(p.Ref, '/')+1:]]
				}
			}
			if slices.Contains(o.Tags, tag) {
				list = append(list, o)
			}
		}
	}
	return list, nil
}

// words are a sentence of the description, with what stands between backticks as code.
func words(sentence string) template.HTML {
	var text strings.Builder
	for i, part := range strings.Split(sentence, "`") {
		part = template.HTMLEscapeString(part)
		if i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		text.WriteString(part)
	}
	return template.HTML(text.String()) //nolint:gosec // it is escaped
}

// docsPage is the description as a page, which needs nothing from anywhere and no script.
func docsPage() ([]byte, error) {
	var d description
	if err := yaml.Unmarshal(openapiYAML, &d); err != nil {
		return nil, err
	}
	schemas, err := named(d.Components.Schemas)
	if err != nil {
		return nil, err
	}
	page, err := template.New("docs").Funcs(template.FuncMap{"operations": d.operations, "words": words}).Parse(docsHTML)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = page.Execute(&text, map[string]any{
		"Info": d.Info, "Tags": d.Tags, "Errors": d.Errors, "Schemas": schemas,
		"Style": template.CSS(docsCSS), //nolint:gosec // our own file
	})
	return text.Bytes(), err
}
