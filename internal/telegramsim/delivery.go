package telegramsim

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The rules of delivery, from WebhookActor of the published server.
const (
	answerTimeout    = 60 * time.Second // HttpOutboundConnection's read timeout
	successWindow    = 10 * time.Second // create_new_connections: without a success for so long, one connection
	maxBackoff       = 60               // seconds; WEBHOOK_MAX_RESEND_TIMEOUT, used as 60 to 120
	maxRetryAfter    = 3600             // seconds; on_update_error
	goneAfter        = 23 * time.Hour   // WEBHOOK_DROP_TIMEOUT of answers 410
	connectionIdle   = 50 * time.Second
	activeDials      = 10 // new connections in activeWindow while deliveries succeed
	activeWindow     = 500 * time.Millisecond
	pendingDials     = 1 // and in pendingWindow while none does
	pendingWindow    = 2 * time.Second
	loadedPerConn    = 2       // queues loaded per connection: max_loaded_updates_
	maxWebhookAnswer = 1 << 20 // bytes of a webhook's answer that are read
)

// courier carries updates to one webhook until it is stopped.
type courier struct {
	s      *Server
	hook   hookConfig
	client *http.Client
	scale  float64

	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{} // capacity 1: "look again"
	tasks  sync.WaitGroup

	inbox   sync.Mutex // taken alone or inside mu, never around it
	backlog []*update  // not loaded yet, in order of id

	mu          sync.Mutex
	queues      *queues
	open, idle  int // connections
	failing     bool
	lastSuccess time.Time
	first410    time.Time
	dials       [2]dialLog // while pending, while active
}

// dialLog limits new connections.
type dialLog struct {
	at     []time.Time
	most   int
	window time.Duration
}

// free says when the next connection may be made.
func (d *dialLog) free(now time.Time) time.Time {
	for len(d.at) > 0 && now.Sub(d.at[0]) >= d.window {
		d.at = d.at[1:]
	}
	if len(d.at) < d.most {
		return now
	}
	return d.at[0].Add(d.window)
}

func newCourier(s *Server, hook hookConfig) *courier {
	scale := s.o.RetryScale
	c := &courier{
		s: s, hook: hook, scale: scale, wake: make(chan struct{}, 1), queues: newQueues(),
		client: &http.Client{
			Timeout:       s.o.AnswerTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				MaxIdleConnsPerHost: hook.MaxConnections, MaxConnsPerHost: hook.MaxConnections, IdleConnTimeout: connectionIdle,
				Protocols:       new(http.Protocols), // HTTP/1.1 only, as the server speaks it
				TLSClientConfig: &tls.Config{RootCAs: s.o.Trust, MinVersion: tls.VersionTLS12},
			},
		},
	}
	c.client.Transport.(*http.Transport).Protocols.SetHTTP1(true)
	c.dials[0] = dialLog{most: pendingDials, window: c.scaled(pendingWindow)}
	c.dials[1] = dialLog{most: activeDials, window: c.scaled(activeWindow)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

func (c *courier) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * c.scale)
}

func (c *courier) start() {
	c.tasks.Add(1)
	go c.run()
}

// stop ends all deliveries and waits for them.
func (c *courier) stop() {
	c.cancel()
	c.tasks.Wait()
	c.client.CloseIdleConnections()
}

// offer queues an update behind all others.
func (c *courier) offer(u *update) {
	c.inbox.Lock()
	c.backlog = append(c.backlog, u)
	c.inbox.Unlock()
	c.nudge()
}

func (c *courier) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *courier) run() {
	defer c.tasks.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if at := c.dispatch(time.Now()); !at.IsZero() {
			timer.Reset(time.Until(at))
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.wake:
		case <-timer.C:
		}
	}
}

// dispatch sends what may be sent and returns when to look again; zero: when something happens.
func (c *courier) dispatch(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		c.load()
		q := c.queues.next()
		if q == nil {
			return time.Time{}
		}
		if at := q.wakeup(); at.After(now) {
			return at
		}
		if u := q.updates[0]; now.After(u.Expires) {
			c.queues.take(q)
			c.lose(u)
			continue
		}
		if ok, at := c.connection(now); !ok {
			return at
		}
		u := c.queues.take(q)
		c.tasks.Add(1)
		go c.deliver(u)
	}
}

// load moves updates from the backlog into queues while fewer than twice max_connections queues are loaded:
// chats beyond that wait until a loaded queue is empty, however idle the connections are.
func (c *courier) load() {
	c.inbox.Lock()
	defer c.inbox.Unlock()
	for len(c.backlog) > 0 && c.queues.len() < loadedPerConn*c.hook.MaxConnections {
		c.queues.add(c.backlog[0])
		c.backlog[0] = nil
		c.backlog = c.backlog[1:]
	}
}

// allowed is how many connections there may be. Without a success for ten seconds it is one: that bounds new
// ones, and where the last answer was a failure also those there are. (The published server only stops making
// new ones; connections that failing answers keep alive it would keep.)
func (c *courier) allowed(now time.Time) int {
	if now.Sub(c.lastSuccess) > c.scaled(successWindow) {
		return 1
	}
	return c.hook.MaxConnections
}

// connection takes an idle connection or opens one; otherwise it says when to ask again (zero: when one is free).
func (c *courier) connection(now time.Time) (bool, time.Time) {
	allowed := c.allowed(now)
	for c.failing && c.open > allowed && c.idle > 0 {
		c.open--
		c.idle--
	}
	if c.idle > 0 && (!c.failing || c.open <= allowed) {
		c.idle--
		return true, time.Time{}
	}
	if c.open >= allowed {
		return false, time.Time{}
	}
	log := &c.dials[0]
	if now.Sub(c.lastSuccess) <= c.scaled(successWindow) {
		log = &c.dials[1]
	}
	if at := log.free(now); at.After(now) {
		return false, at
	}
	log.at = append(log.at, now)
	c.open++
	return true, time.Time{}
}

// outcome is what became of one attempt.
type outcome struct {
	failure    string // "" for success
	status     int
	retryAfter int // seconds
	closed     bool
	took       time.Duration
	answer     []byte
}

func (c *courier) deliver(u *update) {
	defer c.tasks.Done()
	defer c.nudge()
	sent := time.Now()
	o := c.post(u)
	o.took = time.Since(sent)
	if c.ctx.Err() != nil {
		return // stopped meanwhile: the update stays in the log for whoever comes next
	}
	acknowledged := o.failure == ""
	ok := acknowledged && !c.s.faults.duplicate()
	if ok {
		c.s.updates.remove(u.ID)
	} else if acknowledged {
		o.failure, o.closed = "Webhook connection closed", true // the answer is lost on its way
	}
	if acknowledged { // whoever waits for it finds it pending no more
		c.s.record.acknowledged(u, sent, o.took)
	}
	if ok {
		c.s.replyCall(o.answer)
	} else {
		c.s.record.attemptFailed(u)
		c.s.webhookFailed(c, o.failure)
	}
	c.settle(u, o, ok)
}

// settle does the bookkeeping of an attempt (WebhookActor: on_update_ok, on_update_error, handle).
func (c *courier) settle(u *update, o outcome, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.failing = !ok
	if ok {
		c.lastSuccess = now
	}
	if o.closed || c.failing && c.open > c.allowed(now) {
		c.open--
	} else {
		c.idle++
	}
	if o.status != http.StatusGone {
		c.first410 = time.Time{}
	}
	if ok {
		c.queues.drop(u)
		return
	}
	if o.status == http.StatusGone {
		if c.first410.IsZero() {
			c.first410 = now
		} else if now.Sub(c.first410) > c.scaled(goneAfter) {
			c.s.webhookGone(c)
			return
		}
	}
	delay := min(max(o.retryAfter, 0), maxRetryAfter)
	if delay == 0 && u.failures > 0 { // the first retry is immediate
		u.delay = min(maxBackoff+rand.IntN(maxBackoff+1), 2*u.delay)
		delay = u.delay
	}
	u.failures++
	u.wakeup = now.Add(c.scaled(time.Duration(delay) * time.Second))
	if u.wakeup.After(u.Expires) {
		c.lose(u)
		return
	}
	c.queues.back(u)
}

// lose gives an update up: its life is over before it could be sent again.
func (c *courier) lose(u *update) {
	c.queues.drop(u)
	c.s.updates.remove(u.ID)
	c.s.record.lost(u)
	c.s.log.Warn("telegram simulator gave an update up", "update", u.ID, "kind", u.Kind, "failures", u.failures)
}

func (c *courier) post(u *update) outcome {
	r, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.hook.URL, bytes.NewReader(u.Body))
	if err != nil {
		return outcome{failure: "URL is invalid", closed: true}
	}
	r.Header.Set("Content-Type", "application/json")
	if c.hook.Secret != "" {
		r.Header.Set("X-Telegram-Bot-Api-Secret-Token", c.hook.Secret)
	}
	response, err := c.client.Do(r)
	if err != nil {
		return outcome{failure: failureText(err), closed: true}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxWebhookAnswer))
	_ = response.Body.Close() // read to its end or abandoned
	if err != nil {
		return outcome{failure: failureText(err), closed: true}
	}
	o := outcome{status: response.StatusCode, closed: response.Close, answer: body}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		o.failure = fmt.Sprintf("Wrong response from the webhook: %d %s", response.StatusCode, http.StatusText(response.StatusCode))
		o.retryAfter = retryAfter(response.Header.Get("Retry-After"))
	}
	return o
}

// failureText names a failure as getWebhookInfo does.
func failureText(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "Connection reset by peer"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "Read timeout expired"
	default:
		return "Webhook connection closed"
	}
}

func retryAfter(header string) int {
	n, err := strconv.Atoi(strings.TrimSpace(header))
	if err != nil {
		return 0
	}
	return n
}
