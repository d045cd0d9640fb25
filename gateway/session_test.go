package gateway

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
	"github.com/kikuai/kikuai/ratelimit"
)

const rigBot = "424242:the-bot-of-these-tests-and-of-no-use"

// initData is what Telegram says of a person to a bot's Mini App at a moment.
func initData(token string, person int64, at time.Time) string {
	fields := map[string]string{
		"user":      `{"id":` + strconv.FormatInt(person, 10) + `,"first_name":"A+B 50%","language_code":"es"}`,
		"auth_date": strconv.FormatInt(at.Unix(), 10), "signature": "x", "start_param": "topup",
	}
	var lines []string
	query := url.Values{}
	for name, value := range fields {
		lines = append(lines, name+"="+value)
		query.Set(name, value)
	}
	slices.Sort(lines)
	sum := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		_, _ = h.Write([]byte(text))
		return h.Sum(nil)
	}
	query.Set("hash", hex.EncodeToString(sum(sum([]byte("WebAppData"), token), strings.Join(lines, "\n"))))
	return query.Encode()
}

// enter asks for a session.
func (r *rig) enter(initData string, headers ...string) answer {
	r.t.Helper()
	a := r.do("POST", "/api/v1/session", "", "", append([]string{"Authorization", "tma " + initData}, headers...)...)
	if a.header.Get("Cache-Control") != "no-store" {
		r.t.Errorf("a session may be kept: %v", a.header)
	}
	return a
}

// Who opens the Mini App gets an account, with the name that Telegram says, and a token
// that stands where a key does: to read the balance, to manage keys, to call a model.
func TestSession(t *testing.T) {
	r := newRig(t)
	const person = 5001
	began := r.enter(initData(rigBot, person, time.Now())).want(t, 200)
	token, account := began.get("token").Str, began.get("account_id").Int()
	end, err := time.Parse(time.RFC3339, began.get("expires_at").Str)
	if err != nil || time.Until(end) > 15*time.Minute || time.Until(end) < 14*time.Minute {
		t.Errorf("ends %v", end)
	}
	if !strings.HasPrefix(token, "kks_") || began.get("telegram_id").Int() != person || began.get("language").Str != "es" || began.get("start_param").Str != "topup" {
		t.Fatalf("began %s", began.body)
	}
	if profile, err := r.desk.Accounts.Profile(t.Context(), person); err != nil || profile.Name != "A+B 50%" {
		t.Errorf("the account is %+v, %v", profile, err)
	}
	if again := r.enter(initData(rigBot, person, time.Now())).want(t, 200); again.get("account_id").Int() != account || again.get("token").Str == token {
		t.Errorf("began again %s", again.body)
	}
	_, err = r.desk.Accounts.Credit(t.Context(), billing.Credit{AccountID: account, AmountNano: dollar, Kind: billing.CreditAdjustment, IdempotencyKey: "session"})
	r.must(err)
	for _, headers := range [][]string{{"Authorization", "Bearer " + token}, {"X-Api-Key", token}, {"Authorization", "tma " + initData(rigBot, person, time.Now())}} {
		balance := r.persist(func() answer { return r.do("GET", "/api/v1/balance", "", "", headers...) }).want(t, 200)
		if balance.get("account_id").Int() != account || balance.get("available_nano_usd").Int() != dollar {
			t.Errorf("%s: %s", headers[0], balance.body)
		}
	}
	made := r.manage("POST", "", token, `{"name":"from the app"}`).want(t, 201)
	r.manage("PATCH", "/"+made.get("id").Raw, token, `{"models":["word"]}`).want(t, 200)
	r.manage("DELETE", "/"+made.get("id").Raw, token, "").want(t, 200)
	lines, _, err := billing.NewAuditLog(r.pool).Read(t.Context(), billing.AuditQuery{AccountID: account, Limit: 100})
	r.must(err)
	for _, line := range lines {
		if strings.HasPrefix(line.Action, "key.") && line.Actor != billing.OfAccount(account) {
			t.Errorf("%s is noted of %s", line.Action, line.Actor)
		}
	}
	answered := r.chat(token, "word").want(t, 200)
	spent := r.ledger(account, 1)
	if spent <= 0 || answered.header.Get("X-Cost-USD") != billing.FormatUSD(spent) {
		t.Errorf("spent %d, told %v", spent, answered.header)
	}
	var source string
	var key int64
	r.must(r.pool.QueryRow(t.Context(), `select source, key_id from usage where account_id = $1`, account).Scan(&source, &key))
	if source != billing.SourceApp || key != 0 {
		t.Errorf("the call is noted of %s, key %d", source, key)
	}
	r.wantBalance(account, dollar-spent)
}

// Nobody else is let in, and each is told what would help.
func TestSessionRefused(t *testing.T) {
	r := newRig(t, func(s *setup) { s.server.Origin = "https://kikuai.example" })
	now := time.Now()
	good := initData(rigBot, 5002, now)
	for name, row := range map[string]struct {
		data   string
		origin string
		status int
		code   string
	}{
		"well":           {good, "", 200, ""},
		"from its site":  {good, "https://KikuAI.example", 200, ""},
		"again":          {good, "", 200, ""},
		"another site":   {good, "https://evil.example", 403, "origin_not_allowed"},
		"no site":        {good, "null", 403, "origin_not_allowed"},
		"forged":         {strings.Replace(good, "5002", "5003", 1), "", 401, "invalid_init_data"},
		"another bot":    {initData("1:other", 5002, now), "", 401, "invalid_init_data"},
		"old":            {initData(rigBot, 5002, now.Add(-61*time.Minute)), "", 401, "init_data_expired"},
		"of tomorrow":    {initData(rigBot, 5002, now.Add(time.Hour)), "", 401, "init_data_expired"},
		"twice the same": {good + "&start_param=topup", "", 401, "invalid_init_data"},
	} {
		var headers []string
		if row.origin != "" {
			headers = []string{"Origin", row.origin}
		}
		a := r.enter(row.data, headers...)
		if a.status != row.status || a.get("error.code").Str != row.code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if row.status != 200 {
			direct := r.do("GET", "/api/v1/balance", "", "", append([]string{"Authorization", "tma " + row.data}, headers...)...)
			if direct.status != row.status || direct.get("error.code").Str != row.code {
				t.Errorf("%s, as it is: %d %s", name, direct.status, direct.body)
			}
		}
	}
	r.do("POST", "/api/v1/session", "", "").want(t, 401)
	_, key := r.account(dollar)
	r.do("POST", "/api/v1/session", key, "").want(t, 401)
	if a := r.do("GET", "/api/v1/balance", "kks_AAAA", "").want(t, 401); a.get("error.code").Str != "session_ended" {
		t.Errorf("answered %s", a.body)
	}
}

// A session ends with what its account may: at once when it is banned or closed. Who
// comes back begins with a new account, which the old session says nothing about.
func TestSessionEnds(t *testing.T) {
	r := newRig(t)
	const person = 5004
	data := initData(rigBot, person, time.Now())
	token := r.enter(data).want(t, 200).get("token").Str
	account := r.enter(data).want(t, 200).get("account_id").Int()
	refused := func() {
		t.Helper()
		for _, a := range []answer{
			r.do("GET", "/api/v1/balance", token, ""), r.manage("GET", "", token, ""), r.do("GET", "/v1/models", token, ""),
		} {
			if a.status != 403 || a.get("error.code").Str != "account_inactive" {
				t.Errorf("answered %d %s", a.status, a.body)
			}
		}
		r.chat(token, "free").wantError(t, 403, "account_inactive")
	}
	_, err := r.desk.Accounts.Ban(t.Context(), person, billing.House)
	r.must(err)
	refused()
	r.enter(data).want(t, 403)
	_, err = r.desk.Accounts.Unban(t.Context(), person, billing.House)
	r.must(err)
	r.do("GET", "/api/v1/balance", token, "").want(t, 200)
	r.must(r.desk.Accounts.Close(t.Context(), account, billing.House))
	refused()
	// What Telegram said before is of who has left, for the rest of its hour, too.
	for _, a := range []answer{r.enter(data), r.do("GET", "/api/v1/balance", "", "", "Authorization", "tma "+data)} {
		if a.status != 401 || a.get("error.code").Str != "init_data_expired" {
			t.Errorf("by what was said before: %d %s", a.status, a.body)
		}
	}
	if _, err := r.desk.Accounts.ByTelegram(t.Context(), person); !errors.Is(err, billing.ErrAccountUnknown) {
		t.Errorf("the person has an account again: %v", err)
	}
	later := initData(rigBot, person, time.Now().Add(2*time.Second))
	if back := r.enter(later).want(t, 200); back.get("account_id").Int() == account {
		t.Errorf("a closed account was entered: %s", back.body)
	}
	refused()
}

// Forged initData and tokens count as failed keys do; what is only out of date does not,
// nor does it tell a stranger from a friend.
func TestSessionStrangers(t *testing.T) {
	failures := &countedFailures{most: 3}
	r := newRig(t, func(s *setup) { s.server.Failures, s.server.Proxies = failures, loopback{} })
	from := []string{"X-Real-IP", "203.0.113.9"}
	good := r.enter(initData(rigBot, 5005, time.Now()), from...).want(t, 200).get("token").Str
	r.do("GET", "/api/v1/balance", good, "", from...).want(t, 200)
	for range 5 {
		r.enter(initData(rigBot, 5005, time.Now().Add(-2*time.Hour)), from...).want(t, 401)
	}
	if n := failures.of("203.0.113.9"); n != 0 {
		t.Fatalf("%d failures of who came late", n)
	}
	r.enter(initData("1:other", 5005, time.Now()), from...).want(t, 401)
	r.do("GET", "/api/v1/balance", "", "", append([]string{"Authorization", "tma " + initData("1:other", 5005, time.Now())}, from...)...).want(t, 401)
	r.do("GET", "/api/v1/balance", "kks_forged", "", from...).want(t, 401)
	r.enter(initData("1:other", 5005, time.Now()), from...).want(t, 429)
	r.enter(initData(rigBot, 5006, time.Now()), from...).want(t, 429)
	r.do("GET", "/api/v1/balance", good, "", from...).want(t, 200)
}

// Sessions have a limit of their own, so that pages do not keep an account's keys from
// calling, nor the other way round.
func TestSessionLimit(t *testing.T) {
	r := newRig(t, func(s *setup) { s.meter.Limits.RequestsPerMinute = 3 })
	began := r.enter(initData(rigBot, 5007, time.Now())).want(t, 200)
	token := began.get("token").Str
	for range 3 {
		r.do("GET", "/api/v1/balance", token, "").want(t, 200)
	}
	a := r.do("GET", "/api/v1/balance", token, "").want(t, 429)
	if !strings.HasPrefix(a.get("error.message").Str, "The Mini App's limit is 3 requests per minute.") {
		t.Errorf("told %s", a.body)
	}
	r.chat(token, "free").want(t, 200)
	made, err := r.desk.Keys.List(t.Context(), began.get("account_id").Int())
	if err != nil || len(made) != 0 {
		t.Errorf("a session made keys: %v %v", made, err)
	}
}

// Without a bot nobody comes from a Mini App.
func TestSessionless(t *testing.T) {
	r := newRig(t, func(s *setup) { s.sessionless = true })
	r.enter(initData(rigBot, 5008, time.Now())).want(t, 404)
	r.do("GET", "/api/v1/balance", "", "", "Authorization", "tma "+initData(rigBot, 5008, time.Now())).want(t, 401)
	r.do("GET", "/api/v1/balance", "kks_AAAA", "").want(t, 401)
}

// What goes wrong with a session is told in words of ours.
func TestExplainSession(t *testing.T) {
	for _, err := range []error{errSessionless, errOrigin, billing.ErrSession, billing.ErrInitData, billing.ErrInitDataOld} {
		if p := explain(err); p.status >= 500 || p.code == "" || p.message == "" {
			t.Errorf("%v: %+v", err, p)
		}
	}
	if !blameless(errors.Join(billing.ErrClosed)) || !blameless(&ratelimit.ExceededError{}) || blameless(billing.ErrInitData) {
		t.Error("the wrong ones are to blame")
	}
}
