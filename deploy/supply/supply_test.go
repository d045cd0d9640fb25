package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// TestThirdParty: the page lists exactly what is shipped, each part under a licence that
// allows it, with the texts as they are.
func TestThirdParty(t *testing.T) {
	parts, err := shipped(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"std", "github.com/gofiber/fiber/v2", "golang.org/x/net", "preact", "@preact/signals", "@pydantic/genai-prices"} {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			t.Errorf("%s is not among what is shipped", name)
		}
	}
	for _, name := range []string{"go.uber.org/goleak", "pgregory.net/rapid", "vite", "playwright-core", "typescript"} {
		if slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			t.Errorf("%s is a tool, and not shipped", name)
		}
	}
	want, err := thirdParty(parts)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(root + "/deploy/THIRD-PARTY.md")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(have, want) {
		return
	}
	t.Error("deploy/THIRD-PARTY.md is not what is shipped: make licences rewrites it")
	for _, row := range rows(want) {
		if !slices.Contains(rows(have), row) {
			t.Errorf("missing: %s", row)
		}
	}
	for _, row := range rows(have) {
		if !slices.Contains(rows(want), row) {
			t.Errorf("not shipped: %s", row)
		}
	}
}

func rows(page []byte) (found []string) {
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| go `") || strings.HasPrefix(line, "| npm `") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

const (
	grantMIT = "Permission is hereby granted, free of charge, to any person obtaining a copy\nof this software … The above copyright notice " +
		"and this permission notice shall be included in all\ncopies or substantial portions of the Software."
	grantBSD = "Redistribution and use in source and binary forms, with or without\nmodification, are permitted … Redistributions in binary form must reproduce …"
)

// TestIdentify: what may be shipped is known by its words, and nothing else passes.
func TestIdentify(t *testing.T) {
	for text, want := range map[string]string{
		grantMIT: "MIT",
		grantBSD: "BSD-2-Clause",
		grantBSD + "\n * Neither the name of its": "BSD-3-Clause",
		grantMIT + "\n" + grantBSD:                "BSD-2-Clause AND MIT",
		"Apache License\n  Version 2.0, January 2004\nTERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION": "Apache-2.0",
		"Mozilla Public License Version 2.0 … GNU General Public License":                                           "MPL-2.0",
		"All rights reserved.":                 "",
		"":                                     "",
		"GNU GENERAL PUBLIC LICENSE Version 3": "",
		grantMIT + "\n“Commons Clause” License Condition v1.0":                       "",
		"Business Source License 1.1":                                                "",
		strings.Replace(grantMIT, "any person", "any person but our competitors", 1): "",
	} {
		ids, err := identify(text)
		if have := strings.Join(ids, " AND "); have != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, have, err, want)
		}
	}
	dir := t.TempDir()
	if _, err := licences(part{name: "bare", dir: dir}); err == nil {
		t.Error("a part without a licence may be shipped")
	}
	if err := os.WriteFile(filepath.Join(dir, "NOTICE"), []byte("by us"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := licences(part{name: "noticed", dir: dir}); err == nil {
		t.Error("a notice counts as a licence")
	}
}

// TestBill: the bill of materials is the same each time, and each part in it has its
// address, its licence and its hash.
func TestBill(t *testing.T) {
	parts, err := shipped(root)
	if err != nil {
		t.Fatal(err)
	}
	text, err := bill(parts, "v1.2.3+x")
	if err != nil {
		t.Fatal(err)
	}
	again, err := bill(parts, "v1.2.3+x")
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("two bills of the same sources differ: %v", err)
	}
	other, err := bill(parts, "v1.2.4")
	if err != nil {
		t.Fatal(err)
	}
	var d, next document
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(other, &next); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(d.Serial) || d.Serial == next.Serial {
		t.Errorf("serial numbers %s and %s", d.Serial, next.Serial)
	}
	if d.Format != "CycloneDX" || d.Spec != "1.6" || d.Version != 1 || d.Metadata.Component.URL != "pkg:golang/github.com/kikuai/kikuai@v1.2.3%2Bx" {
		t.Errorf("%s %s %d, %+v", d.Format, d.Spec, d.Version, d.Metadata)
	}
	if len(d.Components) != len(parts) || len(d.Dependencies[0].On) != len(parts) {
		t.Errorf("%d components, %d parts", len(d.Components), len(parts))
	}
	refs := map[string]bool{}
	address := regexp.MustCompile(`^pkg:(golang/[^@]+|npm/(%40[^@/]+/)?[^@/]+)@[^@]+$`)
	size := map[string]int{"SHA-256": 64, "SHA-512": 128}
	for _, c := range d.Components {
		if refs[c.Ref] || !address.MatchString(c.URL) || len(c.Licences) != 1 || c.Licences[0].Expression == "" {
			t.Errorf("%+v", c)
		}
		refs[c.Ref] = true
		if c.Name != "std" && (len(c.Hashes) != 1 || len(c.Hashes[0].Content) != size[c.Hashes[0].Algorithm]) {
			t.Errorf("%s has no hash", c.Ref)
		}
	}
}

// TestCommand: what cannot be understood is refused.
func TestCommand(t *testing.T) {
	for _, args := range [][]string{nil, {"bill"}, {"sbom", "v1", "v2"}} {
		if err := run(args); err == nil {
			t.Errorf("%q was carried out", args)
		}
	}
}
