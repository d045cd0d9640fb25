package bot

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

// persist makes a call until it succeeds, is refused, has failed callTries times, or
// ctx ends. A 429 pauses the chat for as long as Telegram asks and is not counted;
// where ctx ends before that, the 429 is returned at once. chat is 0 where the call is
// about no chat: then there is no pace and nothing to remember.
func (s *Sender) persist(ctx context.Context, chat int64, method string, call func(context.Context) error) error {
	backoff := s.retry
	for try := 1; ; try++ {
		if err := s.clearance(ctx, chat); err != nil {
			return err
		}
		err := s.count(ctx, method, chat, call(ctx))
		if err == nil {
			return nil
		}
		var api *APIError
		if !errors.As(err, &api) {
			return err
		}
		var pause time.Duration
		switch {
		case api.Code == http.StatusTooManyRequests:
			try--
			if pause = max(api.RetryAfter, flooded); chat != 0 {
				pause = s.chats.rest(chat)
			}
		case api.passing() && try < callTries:
			pause = backoff + rand.N(backoff)
			backoff *= 2
		default:
			return err
		}
		if !sleep(ctx, pause) {
			return err
		}
	}
}

// clearance waits until a message may go into the chat.
func (s *Sender) clearance(ctx context.Context, chat int64) error {
	if chat == 0 {
		return ctx.Err()
	}
	if s.chats.isBlocked(chat) {
		return ErrBlocked
	}
	for {
		wait := s.chats.rest(chat)
		if wait <= 0 {
			var err error
			if wait, err = s.take(ctx, chat, false); err != nil {
				return err
			}
		}
		if wait <= 0 {
			return ctx.Err()
		}
		if !sleep(ctx, wait) {
			return &APIError{
				Method: "pace", Code: http.StatusTooManyRequests, RetryAfter: wait,
				Description: "no turn in this chat in time",
			}
		}
	}
}

// take asks for the chat's pace, and remembers what the others found out about the chat.
func (s *Sender) take(ctx context.Context, chat int64, frame bool) (wait time.Duration, err error) {
	heard := s.chats.wasHeard(chat)
	wait, err = s.pace.take(ctx, chat, frame, heard)
	switch {
	case err != nil:
		s.chats.block(chat)
	case heard && !s.pace.there():
		s.chats.heard(chat) // the others have yet to be told
	}
	return wait, err
}

// count enters a call into the metrics and remembers what it taught about the chat.
// What it returns is nil or an *APIError.
func (s *Sender) count(ctx context.Context, method string, chat int64, err error) error {
	if err == nil {
		s.calls.WithLabelValues(method, "ok").Inc()
		return nil
	}
	api := asAPIError(method, err)
	outcome := "refused"
	switch {
	case errors.Is(api, ErrBlocked):
		outcome = "blocked"
		if chat != 0 {
			s.Lost(ctx, chat)
		}
	case api.Code == http.StatusTooManyRequests:
		outcome = "flood"
		if chat != 0 {
			s.pace.pause(ctx, chat, s.chats.pause(chat, api.RetryAfter))
		}
	case api.passing():
		outcome = "failed"
	case ctx.Err() != nil:
		outcome = "cancelled"
	}
	s.calls.WithLabelValues(method, outcome).Inc()
	return api
}

// sleep waits for d and tells whether ctx lasted; where ctx's deadline comes before d is
// over it does not wait at all.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
