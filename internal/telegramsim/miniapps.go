package telegramsim

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// What opened a Mini App (https://core.telegram.org/bots/webapps#implementing-mini-apps).
const (
	LaunchMenu     = "menu"     // the menu button
	LaunchInline   = "inline"   // a button under a message
	LaunchKeyboard = "keyboard" // a button of the reply keyboard: no query to answer
	LaunchLink     = "link"     // a link to the app: where it was pressed is told
)

// ErrLaunch says that a Mini App cannot be opened so.
var ErrLaunch = errors.New("telegramsim: a Mini App opens from menu, inline, keyboard or link, with a start parameter of up to 512 of A-Z a-z 0-9 _ - in a link alone")

const maxStartParam = 512

// Launch is a person opening the bot's Mini App.
type Launch struct {
	User       int64
	Chat       int64 // where they are; 0: the private chat with the bot
	Button     string
	StartParam string // of a link
}

// InitData is what Telegram hands a Mini App when it opens: fields as a query string, signed for the bot's own
// server (hash) and for others (signature) (https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app).
func (s *Server) InitData(l Launch) (string, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, r, err := w.person(l.User, l.Chat)
	if err != nil {
		return "", err
	}
	user := map[string]any{
		"id": u.ID, "first_name": u.FirstName, "last_name": u.LastName, "language_code": u.LanguageCode,
		"allows_write_to_pm": w.rooms[u.ID].started && !w.rooms[u.ID].blocked,
	}
	if u.Username != "" {
		user["username"] = u.Username
	}
	fields := map[string]string{"user": string(mustJSON(user)), "auth_date": strconv.FormatInt(s.now().Unix(), 10)}
	switch l.Button {
	case LaunchMenu, LaunchInline:
		fields["query_id"] = "AAH" + strconv.FormatInt(u.ID<<20|w.nextQuery, 36)
		w.nextQuery++
		w.dirty = true
	case LaunchKeyboard:
	case LaunchLink:
		fields["chat_type"], fields["chat_instance"] = r.chat.Type, strconv.FormatInt(r.chat.ID^0x5bd1e995, 10)
		if r.private() {
			fields["chat_type"] = "sender"
		}
	default:
		return "", ErrLaunch
	}
	if l.StartParam != "" {
		if l.Button != LaunchLink || len(l.StartParam) > maxStartParam || !plain(l.StartParam) {
			return "", ErrLaunch
		}
		fields["start_param"] = l.StartParam
	}
	return s.signInitData(fields), nil
}

// signInitData signs the fields for others first, since that signature is a field of what the bot's server checks.
func (s *Server) signInitData(fields map[string]string) string {
	others := strconv.FormatInt(s.bot.ID, 10) + ":WebAppData\n" + checkString(fields)
	fields["signature"] = base64.RawURLEncoding.EncodeToString(ed25519.Sign(s.launchKey(), []byte(others)))
	secret := hmac.New(sha256.New, []byte("WebAppData"))
	_, _ = secret.Write([]byte(s.token)) // a hash takes whatever it is given
	mac := hmac.New(sha256.New, secret.Sum(nil))
	_, _ = mac.Write([]byte(checkString(fields)))
	fields["hash"] = hex.EncodeToString(mac.Sum(nil))

	var encoded []string
	for _, name := range []string{"query_id", "user", "chat_instance", "chat_type", "start_param", "auth_date", "signature", "hash"} {
		if value, ok := fields[name]; ok { // a space is %20 there, as apps write it
			encoded = append(encoded, name+"="+strings.ReplaceAll(url.QueryEscape(value), "+", "%20"))
		}
	}
	return strings.Join(encoded, "&")
}

// checkString is what is signed: "name=value" of every field, sorted, a line each.
func checkString(fields map[string]string) string {
	lines := make([]string, 0, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		lines = append(lines, name+"="+fields[name])
	}
	return strings.Join(lines, "\n")
}

// launchKey stands for Telegram's own key, of which apps know the public half. It follows from the token.
func (s *Server) launchKey() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("telegramsim launches\n" + s.token))
	return ed25519.NewKeyFromSeed(seed[:])
}

// LaunchKey checks the signature of InitData, as Telegram's published key does.
func (s *Server) LaunchKey() ed25519.PublicKey {
	key, _ := s.launchKey().Public().(ed25519.PublicKey) // it is one
	return key
}
