package charts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// render is what helm template makes of the chart and a file of values: each template's
// text by its name. Helm itself, or its packages, would take a minute of compiling at each
// run of the tests; what the chart uses of it is a library of functions that both share,
// and the few here. TestProveHelm compares what the two make, byte by byte.
func render(file string) (map[string]string, error) {
	all, err := valuesOf(file)
	if err != nil {
		return nil, err
	}
	var about struct{ Name, Version, AppVersion string }
	if err := readYAML(filepath.Join(chartDir, "Chart.yaml"), &about); err != nil {
		return nil, err
	}
	top := map[string]any{
		"Values":  all,
		"Chart":   map[string]any{"Name": about.Name, "Version": about.Version, "AppVersion": about.AppVersion},
		"Release": map[string]any{"Name": release, "Namespace": namespace, "Service": "Helm"},
		"Files":   chartFiles{},
	}
	templates := template.New("chart").Option("missingkey=zero")
	templates.Funcs(functions(templates))
	sources, err := filepath.Glob(filepath.Join(chartDir, "templates", "*"))
	if err != nil {
		return nil, err
	}
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			return nil, err
		}
		if _, err := templates.New(templateName(source)).Parse(string(text)); err != nil {
			return nil, err
		}
	}
	rendered := map[string]string{}
	for _, source := range sources {
		if name := templateName(source); !strings.HasPrefix(path.Base(name), "_") {
			text, err := execute(templates, name, top)
			if err != nil {
				return nil, err
			}
			rendered[name] = text
		}
	}
	return rendered, nil
}

func templateName(source string) string { return "kikuai/templates/" + filepath.Base(source) }

func execute(templates *template.Template, name string, with any) (string, error) {
	var text strings.Builder
	if err := templates.ExecuteTemplate(&text, name, with); err != nil {
		return "", err
	}
	return strings.ReplaceAll(text.String(), "<no value>", ""), nil
}

// functions are those that Helm adds to sprig's.
func functions(templates *template.Template) template.FuncMap {
	known := sprig.TxtFuncMap()
	delete(known, "env") // which Helm leaves out, too
	delete(known, "expandenv")
	known["include"] = func(name string, with any) (string, error) { return execute(templates, name, with) }
	known["fail"] = func(sentence string) (string, error) { return "", errors.New(sentence) }
	known["toYaml"] = func(value any) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	known["fromYaml"] = func(text string) (value map[string]any, err error) {
		return value, yaml.Unmarshal([]byte(text), &value)
	}
	known["fromYamlArray"] = func(text string) (value []any, err error) {
		return value, yaml.Unmarshal([]byte(text), &value)
	}
	return known
}

// chartFiles are the chart's files besides its templates.
type chartFiles struct{}

// Get returns a file's text; there must be one.
func (chartFiles) Get(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(chartDir, name))
	return string(text), err
}

// Lines returns a file's lines.
func (f chartFiles) Lines(name string) ([]string, error) {
	text, err := f.Get(name)
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n"), err
}

// Glob returns the names that fit a pattern, as keys.
func (chartFiles) Glob(pattern string) (map[string]bool, error) {
	found, err := filepath.Glob(filepath.Join(chartDir, pattern))
	names := map[string]bool{}
	for _, file := range found {
		names[path.Join(path.Dir(pattern), filepath.Base(file))] = true
	}
	return names, err
}

// valuesOf lays given values over the chart's and holds them to the schema.
func valuesOf(file string) (map[string]any, error) {
	var all, given map[string]any
	if err := readYAML(filepath.Join(chartDir, "values.yaml"), &all); err != nil {
		return nil, err
	}
	if err := readYAML(file, &given); err != nil {
		return nil, err
	}
	overlay(all, given)
	text, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(chartDir, "values.schema.json"))
	if err == nil {
		err = schema.Validate(instance)
	}
	if err != nil {
		return nil, fmt.Errorf("the values do not fit values.schema.json: %w", err)
	}
	return all, nil
}

func readYAML(file string, into any) error {
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// overlay sets in all what is given, table by table; what is given as null is taken out.
func overlay(all, given map[string]any) {
	for key, value := range given {
		below, isTable := value.(map[string]any)
		under, wasTable := all[key].(map[string]any)
		switch {
		case value == nil:
			delete(all, key)
		case isTable && wasTable:
			overlay(under, below)
		default:
			all[key] = value
		}
	}
}
