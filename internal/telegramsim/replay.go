package telegramsim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

const (
	replayFirstChat = 2_000_001
	replayWait      = 2 * time.Minute
)

// ReplayOptions describe a crowd: Chats people who write PerChat messages each, in turn.
type ReplayOptions struct {
	Chats     int
	PerChat   int
	FirstChat int64                                 // the first person's id, the others follow; default 2,000,001
	Text      func(chat int64, i int) string        // of a chat's i-th message, from 0; default "message i"
	Topics    bool                                  // each message in a topic of its own, so that none is taken for a part of another
	Rate      float64                               // messages per second in all; 0: as fast as they can be written
	Wait      time.Duration                         // for the acknowledgement of all, after the last was written; default 2 min
	Written   func(chat int64, i int, update int64) // called for each message, in order; may be nil
}

// ReplayReport is what became of a replay.
type ReplayReport struct {
	Updates      map[int64][]int64 // the ids of each chat's updates, as written
	Queued       int
	Acknowledged []int64 // in order of acknowledgement
	Missing      []int64 // not acknowledged
	OutOfOrder   int     // acknowledgements that came before one of an earlier update of the same chat
	Retries      int64   // failed attempts meanwhile
	Duplicates   int64   // repeated acknowledgements meanwhile
	Lost         []int64 // given up meanwhile because their life was over

	AckP50, AckP95, AckP99, AckMax time.Duration // of the acknowledged attempts: request sent to answer read
	EndP50, EndP99                 time.Duration // from written to acknowledged, retries included
	Elapsed                        time.Duration
}

// Replay lets a crowd write to the bot and waits until every update is acknowledged, or Wait is over: then the
// report says what is missing, which is no error. A webhook must be set or the bot must poll.
func (s *Server) Replay(ctx context.Context, o ReplayOptions) (ReplayReport, error) {
	set(&o.FirstChat, replayFirstChat)
	set(&o.Wait, replayWait)
	if o.Text == nil {
		o.Text = func(_ int64, i int) string { return "message " + strconv.Itoa(i) }
	}
	begin := time.Now()
	before := s.Deliveries()
	report := ReplayReport{Updates: make(map[int64][]int64, o.Chats)}
	if err := s.write(ctx, o, &report); err != nil {
		return report, err
	}
	wait, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	waiting := s.WaitAcked(wait, before.Acknowledged+report.Queued)
	if waiting != nil && ctx.Err() != nil {
		return report, context.Cause(ctx)
	}
	s.account(&report)
	after := s.Deliveries()
	report.Retries, report.Duplicates = after.Failures-before.Failures, after.Duplicates-before.Duplicates
	report.Lost = after.Lost[len(before.Lost):]
	report.Elapsed = time.Since(begin)
	return report, nil
}

// write lets everybody write, one message each in turn.
func (s *Server) write(ctx context.Context, o ReplayOptions, report *ReplayReport) error {
	for n := range o.Chats {
		s.User(o.FirstChat+int64(n), "Person "+strconv.Itoa(n+1))
	}
	begin, written := time.Now(), 0
	for i := range o.PerChat {
		for n := range o.Chats {
			if o.Rate > 0 { // by the clock, so that a slow moment is made up for
				pause(ctx, s.ctx, time.Until(begin.Add(time.Duration(float64(written)/o.Rate*float64(time.Second)))))
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			written++
			chat := o.FirstChat + int64(n)
			s.world.mu.Lock()
			say := Saying{User: chat, Text: o.Text(chat, i)}
			if o.Topics {
				say.Thread = int64(i) + 2
			}
			_, id, err := s.send(say)
			s.world.mu.Unlock()
			if err != nil {
				return fmt.Errorf("telegramsim: replay: message %d of chat %d: %w", i, chat, err)
			}
			report.Updates[chat] = append(report.Updates[chat], id)
			report.Queued++
			if o.Written != nil {
				o.Written(chat, i, id)
			}
		}
	}
	return nil
}

// account fills in what was acknowledged, how fast and in which order.
func (s *Server) account(report *ReplayReport) {
	mine := make(map[int64]bool, report.Queued)
	for _, ids := range report.Updates {
		for _, id := range ids {
			mine[id] = true
		}
	}
	newest := map[int64]int64{}
	var took, end []time.Duration
	for _, a := range s.Acked() {
		if !mine[a.UpdateID] {
			continue
		}
		delete(mine, a.UpdateID)
		report.Acknowledged = append(report.Acknowledged, a.UpdateID)
		took, end = append(took, a.Took), append(end, a.At.Sub(a.Queued))
		if a.UpdateID < newest[a.Object] {
			report.OutOfOrder++
		}
		newest[a.Object] = max(newest[a.Object], a.UpdateID)
	}
	for id := range mine {
		report.Missing = append(report.Missing, id)
	}
	slices.Sort(report.Missing)
	slices.Sort(took)
	slices.Sort(end)
	report.AckP50, report.AckP95, report.AckP99, report.AckMax = percentile(took, 50), percentile(took, 95), percentile(took, 99), percentile(took, 100)
	report.EndP50, report.EndP99 = percentile(end, 50), percentile(end, 99)
}

// percentile of sorted durations, by nearest rank.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*p+99)/100-1, 0)]
}
