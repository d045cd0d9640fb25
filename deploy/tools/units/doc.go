// Package units holds the units of deploy/systemd to systemd's own check and to rules of
// their own, and what else a host without containers is given to what they ask for.
package units
