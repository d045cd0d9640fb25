package telegramsim

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What Telegram's server recognises in a text by itself, near enough for a conversation with a bot.
var found = []struct {
	kind    string
	pattern *regexp.Regexp // group 1 is the entity
}{
	{"url", regexp.MustCompile(`(?:^|[^\w@/.])((?:https?|tg|ton)://[^\s<>"«»]*[^\s<>"«».,:;!?')\]]|(?:[a-z0-9-]+\.)+(?:com|org|net|io|dev|ai|app|me|ru|uk|de|eu|info|co)\b(?:/[^\s<>"«»]*[^\s<>"«».,:;!?')\]])?)`)},
	{"email", regexp.MustCompile(`(?:^|[^\w.+-])([\w.+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})`)},
	{"bot_command", regexp.MustCompile(`(?:^|[^\w/<>])(/[A-Za-z0-9_]{1,64}(?:@[A-Za-z]\w{2,31})?)(?:$|[^\w/])`)},
	{"mention", regexp.MustCompile(`(?:^|[^\w@/.])(@[A-Za-z]\w{2,31})(?:$|[^\w@])`)},
	{"hashtag", regexp.MustCompile(`(?:^|[^\pL\pN_#&])(#[\pL\pN_]*\pL[\pL\pN_]*)`)},
}

// opaque entities hide what stands inside them from detection.
var opaque = map[string]bool{"code": true, "pre": true, "text_link": true, "text_mention": true, "custom_emoji": true}

func detectEntities(text string, given []Entity) []Entity {
	if !strings.ContainsAny(text, "/@#.") {
		return nil
	}
	taken := make([]Entity, 0, len(given))
	for _, e := range given {
		if opaque[e.Type] {
			taken = append(taken, e)
		}
	}
	var entities []Entity
	for _, f := range found {
		for from := 0; from < len(text); {
			m := f.pattern.FindStringSubmatchIndex(text[from:])
			if m == nil {
				break
			}
			begin, end := from+m[2], from+m[3]
			e := Entity{Type: f.kind, Offset: utf16Len(text[:begin]), Length: utf16Len(text[begin:end])}
			if !overlaps(e, taken) {
				entities = append(entities, e)
				taken = append(taken, e)
			}
			// the last character stays in sight: ^ must not match right behind an entity
			_, size := utf8.DecodeLastRuneInString(text[begin:end])
			from = max(end-size, from+1)
		}
	}
	return entities
}

func overlaps(e Entity, others []Entity) bool {
	for _, o := range others {
		if e.Offset < o.Offset+o.Length && o.Offset < e.Offset+e.Length {
			return true
		}
	}
	return false
}

// validLink tells whether Telegram takes an address as a link: a known scheme, and a host that is a domain
// or an address. "localhost" is neither.
func validLink(link string) bool {
	if !strings.Contains(link, "://") {
		link = "http://" + link
	}
	u, err := url.Parse(link)
	if err != nil {
		return false
	}
	switch strings.ToLower(u.Scheme) {
	case "tg", "ton":
		return u.Host != ""
	case "http", "https":
		host := u.Hostname()
		return validPort(u) && (strings.Contains(strings.Trim(host, "."), ".") && !strings.ContainsFunc(host, notOfHost) || strings.Contains(host, ":"))
	}
	return false
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}

// notOfHost are ASCII characters that no host has (TDLib: parse_url); what is beyond ASCII is let through.
func notOfHost(r rune) bool {
	alphanumeric := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	return r < 0x80 && !alphanumeric && !strings.ContainsRune(".-_!$,~*'();&+=%", r)
}

// loopbackLink allows what a development machine needs and Telegram would refuse: its own address.
func loopbackLink(link string) bool {
	u, err := url.Parse(link)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && loopbackHost(u.Host)
}
