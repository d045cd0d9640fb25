package billing

import (
	"crypto/subtle"
	"strconv"
	"strings"
)

// What links carry: a number in base 36, a dash, and a tag that only we can make. A gift's
// tag is a secret of 128 bits; an invitation's keeps others from counting accounts.
const (
	codeBase    = 36
	codeDigits  = 13 // of a number below 2^63
	giftTag     = 32 // hexadecimal digits
	invitingTag = 10
)

// tag is the part of a code that proves it.
func (p *pepper) tag(what string, n int64, digits int) string {
	first, _ := p.digest(what + ":" + strconv.FormatInt(n, 10)) // no API key begins so
	return first[:digits]
}

func codeOf(p *pepper, what string, n int64, digits int) string {
	return strconv.FormatInt(n, codeBase) + "-" + p.tag(what, n, digits)
}

// readCode opens a code of ours.
func readCode(peppers []*pepper, what, code string, digits int) (n int64, ok bool) {
	number, tag, found := strings.Cut(code, "-")
	if !found || len(number) > codeDigits || len(tag) != digits {
		return 0, false
	}
	n, err := strconv.ParseInt(number, codeBase, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, codeBase) != number {
		return 0, false
	}
	for _, p := range peppers {
		ok = subtle.ConstantTimeCompare([]byte(p.tag(what, n, digits)), []byte(tag)) == 1 || ok
	}
	return n, ok
}

func (g *Gifts) code(id int64) string { return codeOf(g.peppers[0], "gift", id, giftTag) }

func (g *Gifts) read(code string) (id int64, ok bool) {
	return readCode(g.peppers, "gift", code, giftTag)
}

// Invitation is the code by which an account invites others.
func (a *Accounts) Invitation(accountID int64) string {
	return codeOf(a.peppers[0], "invitation", accountID, invitingTag)
}

// Inviting returns the account whose invitation a code is.
func (a *Accounts) Inviting(code string) (accountID int64, ok bool) {
	return readCode(a.peppers, "invitation", code, invitingTag)
}
