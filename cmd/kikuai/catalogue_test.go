package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/telemetry"
)

// TestCatalogueTold: that some providers have no key is one line, and a warning only where
// none has one or the chat's model is lost.
func TestCatalogueTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key, chat string
		info      string // a part of the line; "": there is none
		warn      string
	}{
		{"", "gpt-4o-mini", "", "no provider has a key"},
		{"OPENAI_API_KEY", "gpt-4o-mini", "google, ", ""},
		{"ANTHROPIC_API_KEY", "gpt-4o-mini", "openai, google, ", "CHAT_MODEL is not available"},
	} {
		settings := &config.Config{ChatModel: c.chat}
		getenv := func(name string) string {
			if name == c.key {
				return "a-key"
			}
			return ""
		}
		catalogue, err := loadCatalogue(settings, getenv)
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		a := &App{config: settings, log: telemetry.NewTextLogger(&said, slog.LevelInfo)}
		if err := a.tellCatalogue(catalogue); err != nil {
			t.Fatal(err)
		}
		var info, warn []string
		for line := range strings.Lines(said.String()) {
			if strings.Contains(line, "level=WARN") {
				warn = append(warn, line)
			} else {
				info = append(info, line)
			}
		}
		for what, got := range map[string][]string{c.info: info, c.warn: warn} {
			if what == "" && len(got) > 0 || what != "" && (len(got) != 1 || !strings.Contains(got[0], what)) {
				t.Errorf("%s: %q and not %q", c.key, got, what)
			}
		}
	}
}

// TestFaultyCatalogue: a fault of the catalogue names the file that it is in.
func TestFaultyCatalogue(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(file, append(bytes.Clone(llm.DefaultCatalogue), "nonsense: 1\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, file + "-missing"} {
		if _, err := loadCatalogue(&config.Config{CatalogFile: name}, os.Getenv); err == nil || !strings.Contains(err.Error(), "CATALOG_FILE") || strings.Count(err.Error(), name) != 1 {
			t.Errorf("%v", err)
		}
	}
}
