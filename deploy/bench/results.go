package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// sections are the parts of the results' file, in order; each is written by itself.
var sections = []string{"Serving", "Allocations", "Streams", "Money", "Limits", "Cache", "Usage", "Gateways"}

// report prints a section and puts it into the file, in place of the one of before.
func report(file, section, text string) error {
	text = strings.TrimSpace(text)
	fmt.Printf("## %s\n\n%s\n\n", section, text)
	if file == "" {
		return nil
	}
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n`make bench` writes this file; `make bench-streams`, `make bench-money`, `make bench-limits`, `make bench-cache`, `make bench-usage` and `make bench-gateways` their parts of it.\n")
	for _, name := range sections {
		content := text
		if name != section {
			_, after, _ := strings.Cut(string(before), "\n## "+name+"\n")
			content, _, _ = strings.Cut(after, "\n## ")
			content = strings.TrimSpace(content)
		}
		if content != "" {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", name, content)
		}
	}
	return os.WriteFile(file, []byte(b.String()), 0o600)
}

// machine says what the figures were measured on.
func machine() string {
	return fmt.Sprintf("%d cores shared by all that takes part; %s.", runtime.NumCPU(), runtime.Version())
}
