package nginx_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
)

// logLine is a line of the access log.
type logLine struct {
	Time, Client, Method, Path, Protocol, TLS, Limited, Upstream string
	RequestID                                                    string `json:"request_id"`
	UpstreamStatus                                               string `json:"upstream_status"`
	UserAgent                                                    string `json:"user_agent"`
	Status                                                       int
	Bytes, Received                                              int64
	Seconds                                                      float64
}

// TestLog: each request is a line of JSON that says what happened, and neither log has
// anything of a secret in it, whatever clients put where.
func TestLog(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{Webroot: site, Rate: 100, Burst: 1000}, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/v1/models" {
			panic(http.ErrAbortHandler) // which nginx would have much to say about
		}
	})
	const token, key, hash = "424242:simulated-bot-token", "kk_7_s3cr3t_abcd", "c0ffee00c0ffee"
	initData := "auth_date=1&hash=" + hash + "&user=%7B%22id%22%3A1%7D"
	requests := [][]string{ // method, path, headers…
		{"POST", "/webhook", "X-Telegram-Bot-Api-Secret-Token", "webhook-s3cr3t"},
		{"GET", "/api/v1/balance?key=" + key, "Authorization", "Bearer " + key},
		{"GET", "/api/v1/usage", "Authorization", "tma " + initData},
		{"POST", "/v1/messages", "X-Api-Key", key},
		{"GET", "/v1/models?api_key=" + key, "Cookie", "session=" + key},
		{"GET", "/webapp/?tgWebAppData=" + initData, "Referer", "https://kikuai.example/webapp/?" + initData},
		{"GET", "/bot" + token + "/getMe"},
		{"GET", "/v1/models/" + key},
		{"GET", "/webapp/" + initData},
		{"GET", "/webapp/none.js?" + initData},
		{"GET", "/?" + key},
		{"SPY", "/v1/chat/completions?" + key},
	}
	names := map[string]answer{}
	for i, q := range requests {
		name := "log-" + string(rune('a'+i))
		names[name] = r.do(q[0], q[1], `{"prompt":"pr0mpt"}`, append([]string{"X-Request-Id", name, "User-Agent", "client \"1\"\n\\"[:10]}, q[2:]...)...)
	}
	var text string
	lines := map[string]logLine{}
	testenv.Until(t, "every request is logged", func() bool {
		text = r.front.AccessLog()
		for line := range strings.Lines(text) {
			var l logLine
			if !strings.HasSuffix(line, "\n") {
				continue // it is being written
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			lines[l.RequestID] = l
		}
		return len(lines) >= len(requests)
	})
	for name, a := range names {
		l := lines[name]
		if l.Status != a.status || l.Client != "127.0.0.1" || l.Bytes == 0 || l.Received == 0 || l.TLS != "TLSv1.3" || l.Protocol != "HTTP/1.1" || l.Time == "" || l.Path == "" || l.UserAgent != `client "1"` {
			t.Errorf("answered %d, logged %+v", a.status, l)
		}
		if behind := !a.here() || l.Path == "/v1/models"; behind != strings.HasPrefix(l.Upstream, r.behind.address()) {
			t.Errorf("from the server is %v, logged %+v", behind, l)
		}
	}
	said, err := r.front.ErrorLog()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{token, key, hash, "s3cr3t", "pr0mpt", "auth_date", "simulated", "session="} {
		if strings.Contains(text, secret) || strings.Contains(said, secret) {
			t.Errorf("%q is in a log:\n%s\n%s", secret, text, said)
		}
	}
}
