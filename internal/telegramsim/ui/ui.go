// Package ui holds the files of the chat page: a small Telegram client for the
// browser that acts through the API in PAGE.md. There is no build step: what
// the browser loads is what stands here.
package ui

import "embed"

// Files are the page's files, index.html first.
//
//go:embed index.html *.css *.js *.svg
var Files embed.FS
