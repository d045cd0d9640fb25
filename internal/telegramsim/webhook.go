package telegramsim

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
)

const defaultMaxConnections = 40

// hookConfig is a webhook as setWebhook asked for it.
type hookConfig struct {
	URL            string `json:"url"`
	Secret         string `json:"secret,omitempty"`
	MaxConnections int    `json:"max_connections,omitempty"`
	IP             string `json:"ip,omitempty"`
}

// webhooks is the webhook that is set, and its last failure.
type webhooks struct {
	change sync.Mutex // held over a whole change
	mu     sync.Mutex
	hook   hookConfig
	// courier carries to hook; gone ones ended by themselves and are waited for at the next change
	courier   *courier
	gone      []*courier
	errorText string
	errorDate int64
}

// WebhookInfo is the Bot API's WebhookInfo.
type WebhookInfo struct {
	URL                  string   `json:"url"`
	HasCustomCertificate bool     `json:"has_custom_certificate"`
	PendingUpdateCount   int      `json:"pending_update_count"`
	IPAddress            string   `json:"ip_address,omitempty"`
	LastErrorDate        int64    `json:"last_error_date,omitempty"`
	LastErrorMessage     string   `json:"last_error_message,omitempty"`
	MaxConnections       int      `json:"max_connections,omitempty"`
	AllowedUpdates       []string `json:"allowed_updates,omitempty"`
}

func (s *Server) webhookInfo() WebhookInfo {
	h := s.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	info := WebhookInfo{
		URL: h.hook.URL, PendingUpdateCount: s.updates.len(), LastErrorDate: h.errorDate, LastErrorMessage: h.errorText,
		MaxConnections: h.hook.MaxConnections, AllowedUpdates: s.updates.allowedList(),
	}
	if u, err := url.Parse(h.hook.URL); err == nil && h.hook.URL != "" {
		info.IPAddress = u.Hostname()
		set(&info.IPAddress, h.hook.IP)
	}
	return info
}

// startWebhook begins delivery; no webhook may be set.
func (s *Server) startWebhook(hook hookConfig) {
	set(&hook.MaxConnections, defaultMaxConnections)
	c := newCourier(s, hook)
	h := s.hooks
	h.mu.Lock()
	h.hook, h.courier, h.errorText, h.errorDate = hook, c, "", 0
	h.mu.Unlock()
	s.updates.carry(c)
	c.start()
}

// stopWebhook forgets the webhook.
func (s *Server) stopWebhook() {
	s.stopDelivery()
	s.hooks.mu.Lock()
	s.hooks.hook = hookConfig{}
	s.hooks.mu.Unlock()
}

// stopDelivery waits for what is on the way, which is abandoned; its updates stay.
func (s *Server) stopDelivery() {
	h := s.hooks
	h.mu.Lock()
	ended := h.gone
	if h.courier != nil {
		ended = append(ended, h.courier)
	}
	h.courier, h.gone = nil, nil
	h.mu.Unlock()
	s.updates.carry(nil)
	for _, c := range ended {
		c.stop()
	}
}

// webhookGone ends a webhook that answered 410 for too long.
func (s *Server) webhookGone(c *courier) {
	h := s.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.courier != c {
		return
	}
	s.log.Warn("telegram simulator closes the webhook because of HTTP 410 answers")
	h.hook, h.courier, h.gone = hookConfig{}, nil, append(h.gone, c)
	c.cancel()
}

func (s *Server) webhookFailed(c *courier, text string) {
	h := s.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.courier == c {
		h.errorText, h.errorDate = text, s.now().Unix()
	}
}

// replyCall performs a method that a webhook's answer asked for (Bot API: "Making requests when getting
// updates"); its result goes nowhere. WebhookActor::handle names the methods that are not taken.
func (s *Server) replyCall(body []byte) {
	method := strings.ToLower(gjson.GetBytes(body, "method").String())
	if method == "" || strings.HasPrefix(method, "get") ||
		slices.Contains([]string{"deletewebhook", "setwebhook", "close", "logout"}, method) {
		return
	}
	p := Params{}
	if p.addJSON(body) == nil {
		delete(p, "method")
		_, _ = s.perform(method, &call{ctx: s.ctx, params: p}) // recorded; nobody is told the result
	}
}

func setWebhook(s *Server, c *call) (any, *RefusalError) {
	address := c.params["url"]
	if address == "" {
		return deleteWebhook(s, c)
	}
	hook, refusal := hookFrom(c.params, address)
	if refusal != nil {
		return nil, refusal
	}
	h := s.hooks
	h.change.Lock()
	defer h.change.Unlock()
	h.mu.Lock()
	same := h.hook == hook
	h.mu.Unlock()
	drop := c.params.Bool("drop_pending_updates")
	if !same || drop {
		s.stopWebhook()
	}
	s.updates.allow(allowedUpdates(c.params))
	if drop {
		s.updates.clear()
	}
	if !same || drop {
		s.poll.abort(conflict(saidPollEnded))
		s.startWebhook(hook)
	}
	s.changed()
	return true, nil
}

// SetWebhook has updates delivered to an address, as a call of setWebhook would: connections from 1 to 100, 0 for
// the default of 40.
func (s *Server) SetWebhook(address, secret string, connections int) error {
	p := Params{"url": address, "secret_token": secret}
	if connections != 0 {
		p["max_connections"] = strconv.Itoa(connections)
	}
	if _, refusal := setWebhook(s, &call{ctx: s.ctx, params: p}); refusal != nil {
		return refusal
	}
	return nil
}

// WebhookInfo is what getWebhookInfo tells.
func (s *Server) WebhookInfo() WebhookInfo { return s.webhookInfo() }

// hookFrom reads and checks a webhook (Client.cpp: do_set_webhook). Plain HTTP is taken, as a Bot API server
// run in local mode takes it: the simulator's bots live on the same machine.
func hookFrom(p Params, address string) (hookConfig, *RefusalError) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return hookConfig{}, badRequest("invalid webhook URL specified")
	}
	secret := p["secret_token"]
	if len(secret) > maxSecretToken {
		return hookConfig{}, badRequest("secret token is too long")
	}
	if strings.Trim(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return hookConfig{}, badRequest("secret token contains unallowed characters")
	}
	hook := hookConfig{URL: address, Secret: secret, IP: p["ip_address"], MaxConnections: defaultMaxConnections}
	if n, ok := p.Int("max_connections"); ok {
		hook.MaxConnections = int(min(max(n, 1), 100))
	}
	return hook, nil
}

// allowedUpdates reads allowed_updates; nil where it is absent or unreadable, which keeps the previous list.
func allowedUpdates(p Params) []string {
	var kinds []string
	if err := json.Unmarshal([]byte(p["allowed_updates"]), &kinds); err != nil {
		return nil
	}
	return kinds
}

func deleteWebhook(s *Server, c *call) (any, *RefusalError) {
	s.hooks.change.Lock()
	defer s.hooks.change.Unlock()
	s.stopWebhook()
	if c.params.Bool("drop_pending_updates") {
		s.updates.clear()
	}
	s.changed()
	return true, nil
}

func getWebhookInfo(s *Server, _ *call) (any, *RefusalError) { return s.webhookInfo(), nil }
