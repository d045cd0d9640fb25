package telegramsim

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	tg "github.com/go-telegram/bot"

	"github.com/kikuai/kikuai/internal/telegramsim/spec"
	"github.com/kikuai/kikuai/internal/testenv"
)

const testToken = "7000000001:test-secret"

func TestMain(m *testing.M) { testenv.Main(m) }

// start runs a simulator until the test ends.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	o.Token = testToken
	set(&o.RetryScale, 0.01)
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client is go-telegram/bot against the simulator.
func client(t *testing.T, s *Server, o ...tg.Option) *tg.Bot {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	options := append([]tg.Option{
		tg.WithServerURL(s.URL()), tg.WithSkipGetMe(), tg.WithNotAsyncHandlers(),
		tg.WithHTTPClient(2*time.Second, &http.Client{Transport: transport}),
	}, o...)
	b, err := tg.New(testToken, options...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// soon bounds what a test waits for.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// started registers a person who has pressed Start.
func started(t *testing.T, s *Server, id int64, name string) User {
	t.Helper()
	u := s.User(id, name)
	if _, err := s.StartBot(u.ID, ""); err != nil {
		t.Fatal(err)
	}
	return u
}

// rawAnswer is a Bot API answer as the test reads it.
type rawAnswer struct {
	OK          bool            `json:"ok"`
	Result      json.RawMessage `json:"result"`
	ErrorCode   int             `json:"error_code"`
	Description string          `json:"description"`
	Parameters  struct {
		RetryAfter int `json:"retry_after"`
	} `json:"parameters"`
	status int
}

// post calls a method with a JSON body.
func post(t *testing.T, s *Server, method string, body any) rawAnswer {
	t.Helper()
	a := do(t, s.URL()+"/bot"+testToken+"/"+method, "application/json", mustJSON(body))
	if kind := resultTypes[method]; a.OK && kind != "" {
		if err := spec.CheckObject(kind, a.Result); err != nil {
			t.Errorf("%s answers what the Bot API does not document: %v\n%s", method, err, a.Result)
		}
	}
	return a
}

// resultTypes are what methods return.
var resultTypes = map[string]string{
	"sendMessage": "Message", "sendDocument": "Message", "sendPhoto": "Message", "sendRichMessage": "Message", "getFile": "File", "editMessageText": "Message", "editMessageReplyMarkup": "Message", "sendInvoice": "Message",
	"getStarTransactions": "StarTransactions", "getMyStarBalance": "StarAmount",
}

func do(t *testing.T, url, contentType string, body []byte) rawAnswer {
	t.Helper()
	r, err := http.NewRequestWithContext(soon(t), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	a := rawAnswer{status: response.StatusCode}
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		t.Fatalf("answer: %v", err)
	}
	return a
}

type object = map[string]any

func stringOf(t *testing.T, raw json.RawMessage, field string) string {
	t.Helper()
	fields := map[string]any{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	text, _ := fields[field].(string)
	return text
}
