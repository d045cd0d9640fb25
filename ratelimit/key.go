package ratelimit

import (
	"crypto/sha256"
	"encoding/base64"
)

// plainMost is how long an id may be and still be stored as it is, in bytes.
const plainMost = 64

// Key returns the Redis key of the limits of one holder: "lim:{tag}:scope:id". Keys of
// one tag live on one shard, whatever the id. An id of 1 to 64 letters, digits and
// "-_.@" is kept; any other is replaced by '~' and its SHA-256, so that no id reaches
// another's key. Tag and scope are the program's own words.
func Key(tag, scope, id string) string {
	if !isPlain(id) {
		sum := sha256.Sum256([]byte(id))
		id = "~" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return "lim:{" + tag + "}:" + scope + ":" + id
}

func isPlain(id string) bool {
	if id == "" || len(id) > plainMost {
		return false
	}
	for i := range len(id) {
		c := id[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '_' && c != '.' && c != '@' {
			return false
		}
	}
	return true
}
