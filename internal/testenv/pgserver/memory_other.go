//go:build !linux

package pgserver

// TemporaryParent is where temporary servers lie.
func TemporaryParent(otherwise string) string { return otherwise }
