package webapp

import (
	"embed"
	"io/fs"
)

// dist is the built Mini App, with a file that is always there, so that the program
// builds without it.
//
//go:embed all:ui/dist
var dist embed.FS

// Built tells whether the Mini App was built into the program.
func Built() bool {
	_, err := fs.Stat(Dist(), indexFile)
	return err == nil
}

// Dist is the Mini App as it was built into the program; empty, but for hidden files,
// where it was not.
func Dist() fs.FS {
	files, err := fs.Sub(dist, "ui/dist")
	if err != nil { // only of a name that is none
		return embed.FS{}
	}
	return files
}
