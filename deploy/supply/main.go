// Command supply says what a release consists of:
//
//	go run ./deploy/supply sbom         a bill of materials, CycloneDX in JSON
//	go run ./deploy/supply licences     deploy/THIRD-PARTY.md: who wrote it, under which licence
//
// Both count what is in the program as it is shipped: Go modules with a package in it, the
// npm packages that the Mini App's files are made of, and the data that is built in. Tools
// that only tests and builds use are no part of it. Run it in the module's directory, after
// npm ci in webapp/ui and deploy/catalogue.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "supply:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || len(args) > 2 || args[0] != "sbom" && args[0] != "licences" {
		return fmt.Errorf("run it as supply sbom [VERSION] or supply licences, not %q", args)
	}
	parts, err := shipped(".")
	if err != nil {
		return err
	}
	var text []byte
	if args[0] == "sbom" {
		version := "development"
		if len(args) == 2 {
			version = args[1]
		}
		text, err = bill(parts, version)
	} else {
		text, err = thirdParty(parts)
	}
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}
