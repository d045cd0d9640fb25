package cache

import (
	"errors"
	"strings"
)

// channel carries invalidations to all instances.
const channel = "cache!invalidations"

// kind is what an order is about.
type kind string

const (
	oneKey   kind = "key"
	oneTag   kind = "tag"
	wildcard kind = "pattern"
)

// order is an invalidation: of a key, a tag, or the keys that match a pattern.
type order struct {
	space string
	kind  kind
	text  string // any bytes
}

// message is an order on its way to the other instances: four words.
type message struct {
	from string // the instance, which has obeyed already
	order
}

var errMessage = errors.New("cache: not a message")

func (m message) String() string {
	return strings.Join([]string{m.from, string(m.kind), m.space, escape(m.text)}, " ")
}

func parseMessage(text string) (message, error) {
	words := strings.Split(text, " ")
	if len(words) != 4 || !spaceName.MatchString(words[2]) {
		return message{}, errMessage
	}
	m := message{from: words[0], order: order{kind: kind(words[1]), space: words[2]}}
	switch m.kind {
	case oneKey, oneTag, wildcard:
	default:
		return message{}, errMessage
	}
	var err error
	if m.text, err = unescape(words[3]); err != nil {
		return message{}, errMessage
	}
	return m, nil
}
