// Package document reads the words out of files that people send: plain text in its
// encodings, source code, CSV, JSON, HTML and PDF. What a file is, its content decides,
// not its name.
//
// A file is a stranger's: everything is bounded, by bytes of text, pages, bytes unpacked,
// objects, steps and the context; no file ends the process or holds it up.
package document
