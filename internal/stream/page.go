package stream

import (
	"errors"
	"strconv"
	"strings"
)

var errShape = errors.New("stream: unexpected shape of a reply")

// parsePage reads the reply of read.lua: Redis' clock in ms and the entries.
func parsePage(reply []any) (now int64, page []Entry, err error) {
	if len(reply) != 2 {
		return 0, nil, errShape
	}
	clock, ok := reply[0].(string)
	if !ok {
		return 0, nil, errShape
	}
	if now, err = strconv.ParseInt(clock, 10, 64); err != nil {
		return 0, nil, errShape
	}
	raw, ok := reply[1].([]any)
	if !ok {
		return 0, nil, errShape
	}
	page = make([]Entry, 0, len(raw))
	for _, item := range raw {
		e, err := parseEntry(item)
		if err != nil {
			return 0, nil, err
		}
		page = append(page, e)
	}
	return now, page, nil
}

// parseEntry reads {id, {field, value, …}}; an entry that was deleted while pending
// has no fields and stays without.
func parseEntry(item any) (Entry, error) {
	pair, ok := item.([]any)
	if !ok || len(pair) == 0 {
		return Entry{}, errShape
	}
	id, ok := pair[0].(string)
	if !ok {
		return Entry{}, errShape
	}
	e := Entry{ID: id}
	if len(pair) < 2 {
		return e, nil
	}
	flat, _ := pair[1].([]any)
	if len(flat) == 0 {
		return e, nil
	}
	e.Fields = make(map[string]string, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		field, _ := flat[i].(string)
		value, _ := flat[i+1].(string)
		e.Fields[field] = value
	}
	return e, nil
}

// idMillis returns the time part of an entry's id: ms since 1970 on Redis' clock.
func idMillis(id string) int64 {
	ms, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseInt(ms, 10, 64) // Redis made the id
	return n
}

// laterID returns the greater of two entry ids.
func laterID(a, b string) string {
	if am, bm := idMillis(a), idMillis(b); am != bm {
		if am > bm {
			return a
		}
		return b
	}
	_, as, _ := strings.Cut(a, "-")
	_, bs, _ := strings.Cut(b, "-")
	an, _ := strconv.ParseInt(as, 10, 64)
	bn, _ := strconv.ParseInt(bs, 10, 64)
	if an > bn {
		return a
	}
	return b
}
