package webapp

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/kikuai/kikuai/billing"
)

// A session's token is kks_ and, in base64url without padding: a version, the account, the
// session's name, its end in Unix seconds, and the first half of the HMAC of all that.
const (
	tokenPrefix  = "kks_"
	tokenVersion = 1

	sessionName = 8 // bytes
	tokenBody   = 1 + 8 + sessionName + 8
	tokenSeal   = 16
	tokenLength = (tokenBody + tokenSeal) * 4 / 3 // rounded up below

	// sealPurpose keeps the key apart from all others that come from a pepper.
	sealPurpose = "kikuai: sessions of the Mini App, version 1"
)

// seals are the keys of tokens' HMACs, the newest first: one for each pepper.
type seals [][]byte

func newSeals(peppers []string) seals {
	keys := make(seals, len(peppers))
	for i, pepper := range peppers {
		keys[i] = digest([]byte(pepper), sealPurpose)
	}
	return keys
}

// mint makes a token of a new session.
func (s seals) mint(account int64, end time.Time) string {
	token := make([]byte, 0, tokenBody+tokenSeal)
	token = append(token, tokenVersion)
	token = binary.BigEndian.AppendUint64(token, uint64(account))
	var name [sessionName]byte
	_, _ = rand.Read(name[:]) // never fails: the runtime aborts first
	token = append(token, name[:]...)
	token = binary.BigEndian.AppendUint64(token, uint64(end.Unix()))
	token = append(token, digest(s[0], string(token))[:tokenSeal]...)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(token)
}

// open reads a token. ErrSession where it is none of ours, or its time is over.
func (s seals) open(token string, now time.Time) (billing.PresentedKey, error) {
	text, is := strings.CutPrefix(token, tokenPrefix)
	if !is || len(text) > tokenLength+1 {
		return billing.PresentedKey{}, billing.ErrSession
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != tokenBody+tokenSeal || raw[0] != tokenVersion {
		return billing.PresentedKey{}, billing.ErrSession
	}
	body, seal := raw[:tokenBody], raw[tokenBody:]
	sealed := false
	for _, key := range s {
		sealed = hmac.Equal(seal, digest(key, string(body))[:tokenSeal]) || sealed
	}
	account := int64(binary.BigEndian.Uint64(body[1:]))
	end := time.Unix(int64(binary.BigEndian.Uint64(body[9+sessionName:])), 0)
	if !sealed || account <= 0 || !now.Before(end) {
		return billing.PresentedKey{}, billing.ErrSession
	}
	return billing.PresentedKey{Account: account, Session: hex.EncodeToString(body[9 : 9+sessionName]), Until: end}, nil
}
