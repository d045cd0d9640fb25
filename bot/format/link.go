package format

import (
	"net/url"
	"strconv"
	"strings"
)

const linkMost = 2048 // bytes of an address

// linkAddress returns the address of a link in the form Telegram takes, and whether it
// takes it: HTTP with a host that has a dot, ASCII but for what can be escaped.
func linkAddress(to string) (string, bool) {
	to = strings.TrimSpace(to)
	if to == "" || len(to) > linkMost {
		return "", false
	}
	if strings.HasPrefix(to, "www.") {
		to = "https://" + to
	}
	u, err := url.Parse(to)
	if err != nil || u.Opaque != "" || u.User != nil {
		return "", false
	}
	host, scheme := u.Hostname(), strings.ToLower(u.Scheme)
	if scheme != "http" && scheme != "https" || !hostName(host) || !portOf(u) {
		return "", false
	}
	// What net/url writes is escaped more than people like to read.
	if strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r == 0x7F || dropped(r) }) {
		to = u.String()
	}
	return to, len(to) <= linkMost
}

// portOf tells whether the port of an address is none or a number that can be one.
func portOf(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}

// hostName tells whether a host has labels of letters, digits and hyphens, more than one.
func hostName(host string) bool {
	if len(host) > 253 {
		return false
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return r <= ' ' || r < 0x80 && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') || dropped(r)
		}) {
			return false
		}
	}
	return len(labels) > 1
}
