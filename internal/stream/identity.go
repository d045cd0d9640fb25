package stream

import (
	"crypto/rand"
	"strings"
)

// identity names a process so that another one on the same host can prove it dead.
// Its text is "<boot>/<pid namespace>/<pid>/<start>/<random>"; the first four parts
// are "-" where the system does not tell.
type identity struct{ boot, namespace, pid, start string }

const unknownPart = "-"

// token returns a new token of the process: unique even among its own leases.
func (id identity) token() string {
	return strings.Join([]string{id.boot, id.namespace, id.pid, id.start, rand.Text()[:16]}, "/")
}

func parseIdentity(token string) (identity, bool) {
	parts := strings.Split(token, "/")
	if len(parts) != 5 {
		return identity{}, false
	}
	return identity{parts[0], parts[1], parts[2], parts[3]}, true
}

// provablyDead tells whether the process behind token ran under the same kernel and
// in the same process namespace as this one and is certainly gone. Doubt is false.
func (id identity) provablyDead(token string) bool {
	other, ok := parseIdentity(token)
	if !ok || id.boot == unknownPart || id.namespace == unknownPart {
		return false
	}
	if other.boot != id.boot || other.namespace != id.namespace {
		return false
	}
	return processGone(other.pid, other.start)
}
