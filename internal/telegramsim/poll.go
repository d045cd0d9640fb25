package telegramsim

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

const maxPoll = 50 * time.Second // Client.h: LONG_POLL_MAX_TIMEOUT

// poll is the one getUpdates call that may wait.
type poll struct {
	mu  sync.Mutex
	end chan *RefusalError // capacity 1; of the call that waits, or nil
}

// begin makes a call the waiting one and ends the one before (Client.cpp: abort_long_poll).
func (p *poll) begin() chan *RefusalError {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end != nil {
		p.end <- conflict(saidOtherPoll)
	}
	p.end = make(chan *RefusalError, 1)
	return p.end
}

func (p *poll) finish(end chan *RefusalError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end == end {
		p.end = nil
	}
}

func (p *poll) abort(refusal *RefusalError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end != nil {
		p.end <- refusal
		p.end = nil
	}
}

func getUpdates(s *Server, c *call) (any, *RefusalError) {
	if s.webhookInfo().URL != "" {
		return nil, conflict(saidPollConflict)
	}
	s.updates.allow(allowedUpdates(c.params))
	offset, _ := c.params.Int("offset")
	limit, ok := c.params.Int("limit")
	if !ok || limit < 1 || limit > 100 {
		limit = 100
	}
	seconds, _ := c.params.Int("timeout")
	wait := min(max(time.Duration(seconds)*time.Second, 0), maxPoll)

	now := time.Now()
	for _, u := range s.updates.confirm(offset) {
		s.record.acknowledged(u, u.Created, now.Sub(u.Created))
	}
	end := s.poll.begin()
	defer s.poll.finish(end)
	ctx, cancel := context.WithTimeout(c.ctx, wait)
	defer cancel()
	for {
		updates, changed := s.updates.first(int(limit), time.Now())
		if len(updates) > 0 || ctx.Err() != nil {
			bodies := make([]json.RawMessage, 0, len(updates))
			for _, u := range updates {
				bodies = append(bodies, u.Body)
			}
			return bodies, nil
		}
		select {
		case <-changed:
		case refusal := <-end:
			return nil, refusal
		case <-ctx.Done():
		case <-s.ctx.Done():
			return []json.RawMessage{}, nil
		}
	}
}
