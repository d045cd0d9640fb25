// Package nginx holds the configuration of the production front: templates, the script
// that knows their variables, and the one that renders them. See README.md.
package nginx

import "embed"

// Files are what a front is made of: templates/…, variables.envsh and render, a shell
// script that writes the configuration into the directory it is given.
//
//go:embed templates render variables.envsh
var Files embed.FS
