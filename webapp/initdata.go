package webapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kikuai/kikuai/billing"
)

const (
	initDataAge   = time.Hour        // that initData is good for
	initDataAhead = 30 * time.Second // that Telegram's clock may be before ours

	maxInitData   = 8 << 10 // bytes
	maxInitFields = 64
	maxStartParam = 512

	fieldHash = "hash"
)

// visitor is who opened the Mini App, as Telegram says it.
type visitor struct {
	billing.Profile
	startParam string
	at         time.Time // when it was said
}

// initDataSecret is what Telegram signs with for the bot of that token.
func initDataSecret(token string) []byte { return digest([]byte("WebAppData"), token) }

func digest(secret []byte, text string) []byte {
	h := hmac.New(sha256.New, secret)
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum(nil)
}

// readInitData checks initData in full: each field once, signed with the secret, and said
// within the hour. ErrInitData, ErrInitDataOld.
func readInitData(text string, secret []byte, now time.Time) (visitor, error) {
	fields, err := splitInitData(text)
	if err != nil {
		return visitor{}, err
	}
	hash, err := hex.DecodeString(fields[fieldHash])
	if err != nil || !hmac.Equal(hash, digest(secret, checkString(fields))) {
		return visitor{}, billing.ErrInitData
	}
	v, err := visitorOf(fields)
	if err != nil {
		return visitor{}, err
	}
	if age := now.Sub(v.at); age > initDataAge || age < -initDataAhead {
		return visitor{}, billing.ErrInitDataOld
	}
	return v, nil
}

// splitInitData cuts a query string into its fields, each decoded once. A field that
// comes twice is refused: two readers could take it for different ones.
func splitInitData(text string) (map[string]string, error) {
	if len(text) > maxInitData {
		return nil, billing.ErrInitData
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(text, "&") {
		rawName, rawValue, found := strings.Cut(part, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil || !found || name == "" || len(fields) == maxInitFields {
			return nil, billing.ErrInitData
		}
		value, err := url.QueryUnescape(rawValue)
		if _, twice := fields[name]; err != nil || twice {
			return nil, billing.ErrInitData
		}
		fields[name] = value
	}
	return fields, nil
}

// checkString is what Telegram has signed: all fields but the hash, the one for third
// parties too, sorted by name.
func checkString(fields map[string]string) string {
	lines := make([]string, 0, len(fields))
	for name, value := range fields {
		if name != fieldHash {
			lines = append(lines, name+"="+value)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// visitorOf reads fields that Telegram has signed.
func visitorOf(fields map[string]string) (visitor, error) {
	seconds, err := strconv.ParseInt(fields["auth_date"], 10, 64)
	if err != nil || seconds <= 0 {
		return visitor{}, billing.ErrInitData
	}
	var user struct {
		ID        int64  `json:"id"`
		FirstName string `json:"first_name"`
		LastName  string `json:"last_name"`
		Language  string `json:"language_code"`
		Bot       bool   `json:"is_bot"`
	}
	if json.Unmarshal([]byte(fields["user"]), &user) != nil || user.ID <= 0 || user.Bot || len(fields["start_param"]) > maxStartParam {
		return visitor{}, billing.ErrInitData
	}
	return visitor{
		Profile: billing.Profile{
			TelegramID: user.ID, Name: strings.TrimSpace(user.FirstName + " " + user.LastName), Language: user.Language,
		}.Clean(),
		startParam: fields["start_param"],
		at:         time.Unix(seconds, 0),
	}, nil
}
