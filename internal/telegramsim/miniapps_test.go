package telegramsim

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// checked reads init data as a bot's server and as a third party do, and returns its fields.
func checked(t *testing.T, s *Server, data string) url.Values {
	t.Helper()
	fields, err := url.ParseQuery(data)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(but ...string) string {
		var all []string
		for name, values := range fields {
			if !slices.Contains(but, name) {
				all = append(all, name+"="+values[0])
			}
		}
		slices.Sort(all)
		return strings.Join(all, "\n")
	}
	sum := func(key []byte, text string) []byte {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	if want := hex.EncodeToString(sum(sum([]byte("WebAppData"), s.o.Token), lines("hash"))); fields.Get("hash") != want {
		t.Errorf("the hash of %s is not %s", data, want)
	}
	signature, err := base64.RawURLEncoding.DecodeString(fields.Get("signature"))
	if err != nil || !ed25519.Verify(s.LaunchKey(), fmt.Appendf(nil, "%d:WebAppData\n%s", s.Bot().ID, lines("hash", "signature")), signature) {
		t.Errorf("the signature of %s does not hold: %v", data, err)
	}
	return fields
}

// What a Mini App is handed is signed over every field, and says what opened it.
func TestInitData(t *testing.T) {
	at := time.Unix(1_790_000_000, 0)
	s := start(t, Options{Now: func() time.Time { return at }})
	ada := s.AddUser(User{FirstName: `A+B 50% "é"`, LanguageCode: "ru"})
	if _, err := s.StartBot(ada.ID, ""); err != nil {
		t.Fatal(err)
	}
	group, err := s.Group("Friends", ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		launch Launch
		has    string
		hasNot string
	}{
		{Launch{Button: LaunchMenu}, "query_id", "chat_type"},
		{Launch{Button: LaunchInline, Chat: group.ID}, "query_id", "chat_type"},
		{Launch{Button: LaunchKeyboard}, "user", "query_id"},
		{Launch{Button: LaunchLink, StartParam: "page_keys"}, "start_param", "query_id"},
	} {
		test.launch.User = ada.ID
		data, err := s.InitData(test.launch)
		if err != nil {
			t.Fatal(err)
		}
		fields := checked(t, s, data)
		if !fields.Has(test.has) || fields.Has(test.hasNot) || fields.Get("auth_date") != "1790000000" || strings.Contains(data, "+") {
			t.Errorf("%+v: %s", test.launch, data)
		}
		user := gjson.Parse(fields.Get("user"))
		if user.Get("id").Int() != ada.ID || user.Get("first_name").String() != ada.FirstName || user.Get("language_code").String() != "ru" || !user.Get("allows_write_to_pm").Bool() {
			t.Errorf("user %s", user)
		}
	}
	for _, wrong := range []Launch{{}, {Button: "door"}, {Button: LaunchMenu, StartParam: "x"}, {Button: LaunchLink, StartParam: "a b"}, {Button: LaunchLink, StartParam: strings.Repeat("x", maxStartParam+1)}} {
		wrong.User = ada.ID
		if _, err := s.InitData(wrong); !errors.Is(err, ErrLaunch) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	if _, err := s.InitData(Launch{User: 5, Button: LaunchMenu}); !errors.Is(err, ErrUserUnknown) {
		t.Error(err)
	}
	if status, a := pageCall(t, s, "POST", "/sim/webapp", object{"user": ada.ID, "button": "menu"}, nil); status != 200 || a.Get("init_data").String() == "" {
		t.Error(status, a)
	}
}
