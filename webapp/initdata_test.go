package webapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
)

const testBot = "424242:a-bot-of-these-tests-and-of-no-use"

// said signs fields as Telegram does and writes them as a query string, in some order.
func said(t *testing.T, token string, fields map[string]string) string {
	t.Helper()
	lines := make([]string, 0, len(fields))
	query := url.Values{}
	for name, value := range fields {
		lines = append(lines, name+"="+value)
		query.Set(name, value)
	}
	slices.Sort(lines)
	first := hmac.New(sha256.New, []byte("WebAppData"))
	_, _ = first.Write([]byte(token))
	second := hmac.New(sha256.New, first.Sum(nil))
	_, _ = second.Write([]byte(strings.Join(lines, "\n")))
	query.Set("hash", hex.EncodeToString(second.Sum(nil)))
	return query.Encode()
}

func fieldsAt(at time.Time) map[string]string {
	return map[string]string{
		"user":      `{"id":1001,"first_name":"A+B 50%","last_name":"& co=1 ünï","language_code":"pt-br"}`,
		"auth_date": strconv.FormatInt(at.Unix(), 10), "query_id": "AAE", "start_param": "keys", "signature": "third-party",
		"chat_instance": "-5",
	}
}

// What Telegram says is read as it was said, names with every sign in them too.
func TestInitDataIsRead(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	v, err := readInitData(said(t, testBot, fieldsAt(now.Add(-time.Minute))), initDataSecret(testBot), now)
	if err != nil {
		t.Fatal(err)
	}
	want := visitor{Profile: billing.Profile{TelegramID: 1001, Name: "A+B 50% & co=1 ünï", Language: "pt-br"}, startParam: "keys", at: now.Add(-time.Minute)}
	if v != want {
		t.Fatalf("read %+v, want %+v", v, want)
	}
	// Spaces and pluses as percent codes are the same.
	again := strings.ReplaceAll(said(t, testBot, fieldsAt(now)), "+", "%20")
	if v, err := readInitData(again, initDataSecret(testBot), now); err != nil || v.Name != want.Name {
		t.Fatalf("read %+v, %v", v, err)
	}
}

// Nothing else is believed: not what another bot was told, nor what is old, to come, sent
// twice, changed, or incomplete.
func TestInitDataIsRefused(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	secret := initDataSecret(testBot)
	good := said(t, testBot, fieldsAt(now))
	with := func(name, value string) string {
		fields := fieldsAt(now)
		if fields[name] = value; value == "" {
			delete(fields, name)
		}
		return said(t, testBot, fields)
	}
	at := func(d time.Duration) string { return said(t, testBot, fieldsAt(now.Add(d))) }
	for name, row := range map[string]struct {
		text string
		want error
	}{
		"an hour old":                {at(-time.Hour), nil},
		"older than an hour":         {at(-time.Hour - time.Second), billing.ErrInitDataOld},
		"half a minute ahead":        {at(30 * time.Second), nil},
		"further ahead":              {at(31 * time.Second), billing.ErrInitDataOld},
		"a day ahead":                {at(24 * time.Hour), billing.ErrInitDataOld},
		"another bot's":              {said(t, "424242:another-bot", fieldsAt(now)), billing.ErrInitData},
		"a changed person":           {strings.Replace(good, "1001", "1002", 1), billing.ErrInitData},
		"a signature left out":       {strings.Replace(good, "signature=third-party", "", 1), billing.ErrInitData},
		"a field added":              {good + "&can_send_after=1", billing.ErrInitData},
		"the hash twice":             {good + "&hash=" + strings.Repeat("0", 64), billing.ErrInitData},
		"a field twice, alike":       {good + "&query_id=AAE", billing.ErrInitData},
		"a field twice, by its code": {good + "&quer%79_id=AAE", billing.ErrInitData},
		"no hash":                    {good[:strings.Index(good, "&hash=")] + good[strings.Index(good, "&hash=")+70:], billing.ErrInitData},
		"an empty hash":              {with("query_id", "1")[:20] + "&hash=", billing.ErrInitData},
		"no person":                  {with("user", ""), billing.ErrInitData},
		"a bot":                      {with("user", `{"id":7,"is_bot":true}`), billing.ErrInitData},
		"a person without a number":  {with("user", `{"first_name":"x"}`), billing.ErrInitData},
		"a person that is no object": {with("user", `[]`), billing.ErrInitData},
		"no date":                    {with("auth_date", ""), billing.ErrInitData},
		"a date that is none":        {with("auth_date", "soon"), billing.ErrInitData},
		"nothing":                    {"", billing.ErrInitData},
		"half a code":                {good + "&a=%4", billing.ErrInitData},
		"too long":                   {good + "&a=" + strings.Repeat("x", maxInitData), billing.ErrInitData},
		"too many fields":            {good + strings.Repeat("&a", maxInitFields), billing.ErrInitData},
		"a long parameter":           {with("start_param", strings.Repeat("x", maxStartParam+1)), billing.ErrInitData},
	} {
		if _, err := readInitData(row.text, secret, now); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}

// Whatever is sent, it is refused without a panic, and never believed.
func FuzzInitData(f *testing.F) {
	f.Add("user=%7B%7D&auth_date=1&hash=00")
	f.Add("a=1&a=2&hash=")
	f.Add("%=&&=")
	secret := initDataSecret(testBot)
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := readInitData(text, secret, time.Unix(1, 0)); err == nil {
			t.Fatalf("believed %q: %+v", text, v)
		}
	})
}
