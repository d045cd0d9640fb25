package hall

import "strings"

// Command splits a message like "/newkey@KikuBot my laptop" into "newkey" and
// "my laptop". A command addressed to another bot is not ours.
func Command(text, username string) (name, args string, ok bool) {
	rest, found := strings.CutPrefix(text, "/")
	if !found {
		return "", "", false
	}
	head, args, _ := strings.Cut(rest, " ")
	if line, more, broken := strings.Cut(head, "\n"); broken {
		head, args = line, more+" "+args
	}
	name, addressee, addressed := strings.Cut(head, "@")
	if name == "" || addressed && username != "" && !strings.EqualFold(addressee, username) {
		return "", "", false
	}
	return strings.ToLower(name), strings.TrimSpace(args), true
}
