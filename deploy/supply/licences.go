package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licence is a text under which a part is given, as its authors wrote it.
type licence struct {
	file string // below the part's folder
	text string
	ids  []string // SPDX's names of what it is; sorted
}

// kinds are the licences that this program may be shipped under, each by phrases that its
// text has, in lower case and without punctuation, and by those that it has not. Whatever
// else a part comes under is a fault, until somebody has read it.
var kinds = []struct {
	id      string
	has     []string
	without []string
}{
	{"Apache-2.0", []string{"apache license version 2 0 january 2004", "terms and conditions for use reproduction and distribution"}, nil},
	{"Apache-2.0", []string{"licensed under the apache license version 2 0"}, nil}, // of some of the files
	{"MIT", []string{
		"permission is hereby granted free of charge to any person obtaining a copy",
		"the above copyright notice and this permission notice shall be included in all copies or substantial portions",
	}, nil},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms with or without modification are permitted", "neither the name"}, nil},
	{"BSD-2-Clause", []string{
		"redistribution and use in source and binary forms with or without modification are permitted",
		"redistributions in binary form must reproduce",
	}, []string{"neither the name"}},
	{"ISC", []string{"distribute this software for any purpose with or without fee is hereby granted provided that the above copyright notice and this permission notice appear in all copies"}, nil},
	{"MPL-2.0", []string{"mozilla public license version 2 0"}, nil},
}

// foreign are phrases of licences that ask for more than a notice.
var foreign = []string{
	"gnu general public license", "gnu affero general public license", "gnu lesser general public license",
	"server side public license", "business source license", "commons clause", "creative commons attribution sharealike",
}

var (
	notWord     = regexp.MustCompile(`[^a-z0-9]+`)
	licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$`)
	noticeFile  = regexp.MustCompile(`(?i)^(notice|patents)([-._].*)?$`)
)

var errNoLicence = errors.New("there is no licence that may be shipped in it")

// identify names what a text grants.
func identify(text string) ([]string, error) {
	plain := notWord.ReplaceAllString(strings.ToLower(text), " ")
	in := func(phrase string) bool { return strings.Contains(plain, phrase) }
	if at := slices.IndexFunc(foreign, in); at >= 0 && !in("mozilla public license version 2 0") { // which speaks of them
		return nil, fmt.Errorf("it mentions the %s: read it, and decide", foreign[at])
	}
	var ids []string
	for _, k := range kinds {
		if !slices.ContainsFunc(k.has, func(phrase string) bool { return !in(phrase) }) && !slices.ContainsFunc(k.without, in) {
			ids = append(ids, k.id)
		}
	}
	if len(ids) == 0 {
		return nil, errNoLicence
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// licences reads the texts at the top of a part's folder: those that grant, and notices
// that go with them.
func licences(p part) ([]licence, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (its files come with go mod download, or npm ci)", p.name, err)
	}
	var found []licence
	granted := false
	for _, entry := range entries {
		grants := licenceFile.MatchString(entry.Name())
		if entry.IsDir() || !grants && !noticeFile.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(p.dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		l := licence{file: entry.Name(), text: tidy(string(text))}
		if grants {
			if l.ids, err = identify(l.text); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", p.name, entry.Name(), err)
			}
			granted = true
		}
		found = append(found, l)
	}
	if !granted {
		return nil, fmt.Errorf("%s: %w", p.name, errNoLicence)
	}
	return found, nil
}

// tidy is a text with the same line ends everywhere and none at its edges.
func tidy(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t\f")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

// expression is SPDX's for all that a part is under: each holds for some of its files.
func expression(of []licence) string {
	var ids []string
	for _, l := range of {
		ids = append(ids, l.ids...)
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), " AND ")
}
