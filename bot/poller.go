package bot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

const (
	pollTimeout = 30 * time.Second // how long Telegram holds a call without updates
	pollSlack   = 10 * time.Second // for the answer to arrive after that
	pollMost    = 100              // updates of one answer
	pollBackoff = 200 * time.Millisecond
	pollRest    = 5 * time.Second // longest pause after failures
)

// PollerOptions are what [NewPoller] needs.
type PollerOptions struct {
	Token     string
	ServerURL string       // Telegram's own if empty
	HTTP      *http.Client // [NewHTTPClient] if nil
	Inbox     *Inbox
	Log       *slog.Logger
}

// Poller fetches updates where Telegram cannot reach us. It works only while no webhook
// is set.
type Poller struct {
	url   string
	wire  *wire
	inbox *Inbox
	log   *slog.Logger
	quiet *quiet
}

// NewPoller prepares polling.
func NewPoller(o PollerOptions) *Poller {
	if o.ServerURL == "" {
		o.ServerURL = defaultServer
	}
	if o.HTTP == nil {
		o.HTTP = NewHTTPClient()
	}
	return &Poller{
		url:   strings.TrimSuffix(o.ServerURL, "/") + "/bot" + o.Token + "/getUpdates",
		wire:  &wire{http: o.HTTP, checkouts: o.HTTP, timeout: pollTimeout + pollSlack},
		inbox: o.Inbox,
		log:   o.Log,
		quiet: newQuiet(logEvery),
	}
}

// Run polls until ctx ends. Updates are confirmed to Telegram, by asking for what
// follows them, only after they are in the inbox.
func (p *Poller) Run(ctx context.Context) error {
	var offset int64
	backoff := pollBackoff
	for ctx.Err() == nil {
		next, err := p.round(ctx, offset)
		if next > offset {
			offset, backoff = next, pollBackoff
		}
		if err == nil {
			backoff = pollBackoff
			continue
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // ended by ctx
		}
		if p.quiet.may() {
			p.log.Warn("polling for updates failed", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(max(backoff, asAPIError("getUpdates", err).RetryAfter)):
		}
		backoff = min(2*backoff, pollRest)
	}
	return nil
}

// round fetches and keeps one batch and returns the offset after what it kept.
func (p *Poller) round(ctx context.Context, offset int64) (int64, error) {
	batch, err := p.fetch(ctx, offset)
	if err != nil {
		return offset, err
	}
	moved := false
	for _, raw := range batch {
		if err := p.inbox.Append(ctx, raw); err != nil {
			return offset, err
		}
		if id, ok := integer(gjson.GetBytes(raw, "update_id")); ok && id >= offset {
			offset, moved = id+1, true
		}
	}
	if len(batch) > 0 && !moved {
		return offset, fmt.Errorf("%d updates without a usable id: %w", len(batch), errUnreadable)
	}
	return offset, nil
}

func (p *Poller) fetch(ctx context.Context, offset int64) ([]json.RawMessage, error) {
	body, err := json.Marshal(map[string]any{
		"offset": offset, "limit": pollMost, "timeout": int(pollTimeout.Seconds()), "allowed_updates": AllowedUpdates(),
	})
	if err != nil {
		return nil, fmt.Errorf("encode getUpdates: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, asAPIError("getUpdates", err) // the error would show the token
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := p.wire.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var reply struct {
		Result []json.RawMessage `json:"result"`
	}
	if err := json.NewDecoder(response.Body).Decode(&reply); err != nil {
		return nil, asAPIError("getUpdates", err)
	}
	return reply.Result, nil
}
