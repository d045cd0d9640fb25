package bot

import (
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/bot/format"
	"github.com/kikuai/kikuai/internal/telegramsim/spec"
	"github.com/kikuai/kikuai/internal/testenv"
)

const testToken = "123456:SECRET-token"

// api is a small Bot API: it records calls, holds each to the documentation, and
// answers what it is told to.
type api struct {
	t      *testing.T
	url    string
	client *http.Client

	mu     sync.Mutex
	calls  []call
	answer func(c call) reply // nil: success
	nextID int
	cut    int // calls that were given up before they were answered
}

type call struct {
	method string
	params map[string]string
	files  map[string]string // what was uploaded, by the form's names
	at     time.Time
}

func (c call) chat() int64 {
	id, _ := strconv.ParseInt(c.params["chat_id"], 10, 64)
	return id
}

// reply is an answer; the zero value is a success.
type reply struct {
	status int
	body   string
	wait   <-chan struct{} // answered only after this closes
}

func refusal(code int, description string, parameters ...string) reply {
	extra := ""
	if len(parameters) > 0 {
		extra = `,"parameters":{` + strings.Join(parameters, ",") + `}`
	}
	return reply{status: code, body: fmt.Sprintf(`{"ok":false,"error_code":%d,"description":%q%s}`, code, description, extra)}
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{t: t, client: NewHTTPClient()}
	server := httptest.NewServer(http.HandlerFunc(a.serve))
	a.url = server.URL
	t.Cleanup(func() {
		a.client.CloseIdleConnections()
		server.Close()
	})
	return a
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	method, found := strings.CutPrefix(r.URL.Path, "/bot"+testToken+"/")
	if !found {
		a.t.Errorf("called %s", r.URL.Path)
	}
	c := call{method: method, params: map[string]string{}, at: time.Now()}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		raw := map[string]json.RawMessage{}
		if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
			a.t.Errorf("%s: %v", method, err)
		}
		for name, value := range raw {
			var text string
			if json.Unmarshal(value, &text) != nil {
				text = string(value)
			}
			c.params[name] = text
		}
	} else if r.ContentLength != 0 {
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			a.t.Errorf("%s: %v", method, err)
		}
		for name := range r.MultipartForm.Value {
			c.params[name] = r.MultipartForm.Value[name][0]
		}
		c.files = map[string]string{}
		for name, files := range r.MultipartForm.File {
			c.files[name] = a.read(files[0])
			if method != "editMessageMedia" { // there the file has a name of its own, which media tells
				c.params[name] = "attach://" + files[0].Filename
			}
		}
	}
	if err := spec.CheckCall(method, c.params); err != nil {
		a.t.Error(err)
	}
	if n := format.Units(c.params["text"]); n > format.MessageMost {
		a.t.Errorf("%s: text of %d units", method, n)
	}
	if n := format.Units(c.params["caption"]); n > captionMost {
		a.t.Errorf("%s: caption of %d units", method, n)
	}
	a.mu.Lock()
	a.calls = append(a.calls, c)
	a.nextID++
	id, answer := a.nextID, a.answer
	a.mu.Unlock()
	var out reply
	if answer != nil {
		out = answer(c)
	}
	if out.wait != nil {
		select {
		case <-out.wait:
		case <-r.Context().Done():
			a.mu.Lock()
			a.cut++
			a.mu.Unlock()
			return
		}
	}
	if out.status != 0 {
		w.WriteHeader(out.status)
	}
	if out.body == "" {
		out.body = `{"ok":true,"result":true}`
		switch method {
		case "sendMessage", "sendRichMessage", "sendPhoto", "sendDocument", "editMessageText", "editMessageMedia":
			out.body = fmt.Sprintf(`{"ok":true,"result":{"message_id":%d,"date":1,"chat":{"id":%d,"type":"private"}}}`, id, c.chat())
		}
	}
	_, _ = io.WriteString(w, out.body)
}

func (a *api) read(file *multipart.FileHeader) string {
	opened, err := file.Open()
	if err != nil {
		a.t.Error(err)
		return ""
	}
	defer opened.Close()
	body, err := io.ReadAll(opened)
	if err != nil {
		a.t.Error(err)
	}
	return string(body)
}

func (a *api) script(answer func(c call) reply) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

// made returns the calls of some methods so far; of all if none is named.
func (a *api) made(methods ...string) []call {
	a.mu.Lock()
	defer a.mu.Unlock()
	var made []call
	for _, c := range a.calls {
		for _, m := range methods {
			if c.method == m {
				made = append(made, c)
			}
		}
		if len(methods) == 0 {
			made = append(made, c)
		}
	}
	return made
}

func (a *api) texts(methods ...string) []string {
	var texts []string
	for _, c := range a.made(methods...) {
		texts = append(texts, c.params["text"])
	}
	return texts
}

// sender returns a sender that repeats at once and shows frames soon.
func (a *api) sender() *Sender {
	a.t.Helper()
	client, err := NewClient(testToken, a.url, a.client)
	if err != nil {
		a.t.Fatal(err)
	}
	s := NewSender(SenderOptions{Client: client, Log: testenv.Logger(a.t), Registerer: prometheus.NewRegistry()})
	s.retry = time.Millisecond
	s.frameEvery, s.groupFrameEvery = 20*time.Millisecond, 20*time.Millisecond
	return s
}
