package telegramsim

import (
	"bytes"
	"net/http"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
)

// cashier is a bot behind a webhook that answers pre-checkout queries and notes what it is told of payments.
type cashier struct {
	*hook
	mu    sync.Mutex
	reply func(q gjson.Result) object // nil: no answer at all; default ok
	heard []gjson.Result              // updates but pre-checkout queries, in order of arrival
}

func newCashier(t *testing.T, s *Server) *cashier {
	t.Helper()
	c := &cashier{hook: newHook(t)}
	c.answer = func(_ int, a arrival) (int, http.Header) {
		u := gjson.ParseBytes(a.body)
		q := u.Get("pre_checkout_query")
		if !q.Exists() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.heard = append(c.heard, u)
			return http.StatusOK, nil
		}
		o := object{"ok": true}
		c.mu.Lock()
		reply := c.reply
		c.mu.Unlock()
		if reply != nil {
			o = reply(q)
		}
		if o != nil {
			o["pre_checkout_query_id"] = q.Get("id").String()
			say(s, "answerPreCheckoutQuery", o)
		}
		return http.StatusOK, nil
	}
	c.set(t, s, nil)
	return c
}

// say calls a method from the bot's own goroutine, which has no test to fail.
func say(s *Server, method string, body any) {
	response, err := http.Post(s.URL()+"/bot"+testToken+"/"+method, "application/json", bytes.NewReader(mustJSON(body)))
	if err == nil {
		_ = response.Body.Close()
	}
}

// answerWith changes what the bot answers.
func (c *cashier) answerWith(reply func(q gjson.Result) object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reply = reply
}

// told are the updates that carry a path, once everything waiting has arrived.
func (c *cashier) told(t *testing.T, s *Server, path string) []gjson.Result {
	t.Helper()
	waitIdle(t, s)
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []gjson.Result
	for _, u := range c.heard {
		if u.Get(path).Exists() {
			list = append(list, u)
		}
	}
	return list
}

// waitIdle waits until the bot has acknowledged everything.
func waitIdle(t *testing.T, s *Server) {
	t.Helper()
	s.updates.mu.Lock()
	n := s.updates.next - s.o.FirstUpdateID
	s.updates.mu.Unlock()
	waitAcked(t, s, int(n))
}

// invoice is an ordinary one, with changes.
func invoice(change object) object {
	o := object{
		"title": "100 Stars", "description": "Credit for the models", "payload": "v1:100", "currency": "XTR",
		"prices": []object{{"label": "Credit", "amount": 100}},
	}
	for k, v := range change {
		if v == nil {
			delete(o, k)
			continue
		}
		o[k] = v
	}
	return o
}

// invoiced sends an invoice and returns its message.
func invoiced(t *testing.T, s *Server, chat int64, change object) *Message {
	t.Helper()
	o := invoice(change)
	o["chat_id"] = chat
	m := &Message{}
	answered(t, post(t, s, "sendInvoice", o), m)
	return m
}

func invoiceLink(t *testing.T, s *Server, change object) string {
	t.Helper()
	var link string
	answered(t, post(t, s, "createInvoiceLink", invoice(change)), &link)
	return link
}
