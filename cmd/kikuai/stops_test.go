package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/telegramsim"
)

// TestE2EStop: a few of the presses that make prove-stop counts.
func TestE2EStop(t *testing.T) {
	t.Parallel()
	stopping(t, binary, presses{chats: 12, apart: 20 * time.Millisecond})
}

// presses are Stops of answers that a server writes while it hands half of its chats over
// to another; all of them are delivered to that other one.
type presses struct {
	chats int
	apart time.Duration

	took    []time.Duration // from a press to the end of the provider's call
	further []int           // tokens billed beyond those on the screen at the press
	foreign int             // presses handled by the server that did not write the answer
}

const (
	stopsChat    = 9000                   // the first of the chats' ids
	stopsCadence = 100 * time.Millisecond // of an answer's tokens
	// stopsFrame is what of an answer one frame adds to the one before: Telegram's pace is
	// one in a second, once the first few have passed.
	stopsFrame = time.Second
)

const stopsCatalogue = `providers:
  - {name: sim, protocol: openai, base_url: "%s/v1", local: true}
models:
  - {id: echo, prices: {input: "0", output: "1"}, context: 128000, max_output: 4096, deployments: [{provider: sim, model: long}]}
`

// stopping lets many people stop an answer. Whichever server is told, the provider's call
// ends, and the person is billed for exactly the text that then stands in the chat, which is
// what they had seen and what the next frame would have brought.
func stopping(t *testing.T, built func() (string, error), p presses) *presses {
	t.Helper()
	s := newSiteOf(t, built)
	s.model.Assign("long", llmsim.Script{Text: strings.Repeat(rollingWord, 4000), Cadence: stopsCadence})
	catalogue := filepath.Join(t.TempDir(), "catalogue.yaml")
	if err := os.WriteFile(catalogue, fmt.Appendf(nil, stopsCatalogue, s.model.URL()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.env["CATALOG_FILE"], s.env["CHAT_MAX_OUTPUT"], s.env["DRAIN_TIMEOUT"] = catalogue, "4000", "60s"
	s.env["BOT_HANDLER_DEADLINE"] = "300s"
	first, second := s, s.another()
	writing := first.serve()
	s.arrange("webhook", "set")
	for i := range p.chats {
		s.telegram.User(int64(stopsChat+i), "Ada")
		if _, err := s.telegram.StartBot(int64(stopsChat+i), ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.telegram.Say(int64(stopsChat+i), question(i)); err != nil {
			t.Fatal(err)
		}
	}
	s.until(time.Minute, "all answers on the screen", func() bool {
		for i := range p.chats {
			if d := s.telegram.Draft(int64(stopsChat + i)); d == nil || d.Text == "" {
				return false
			}
		}
		return true
	})
	owners := s.owners()
	other := second.serve()
	second.env["PUBLIC_URL"] = second.url
	second.arrange("webhook", "set")
	s.until(time.Minute, "two servers share the chats", func() bool {
		return s.redis.Client().ZCard(t.Context(), "members:inbox").Val() == 2
	})
	time.Sleep(2 * time.Second) // two rounds of leases: the first server reads of half the chats no more
	p.press(s)
	s.until(time.Minute, "every chat has its final message", func() bool {
		for i := range p.chats {
			if !strings.Contains(lastOf(s.telegram, int64(stopsChat+i)), "[stopped") {
				return false
			}
		}
		return true
	})
	s.until(time.Minute, "the chats are shared evenly", func() bool {
		moved := 0
		for shard, owner := range s.owners() {
			if owner != owners[shard] && owner != "" {
				moved++
			}
		}
		return moved == stream.Shards/2
	})
	p.judge(s, owners)
	writing.stop()
	s.url = second.url
	other.stop()
	s.reconciled()
	slices.Sort(p.took)
	t.Logf("stop: %d answers stopped, %d of them by the server that does not write it; to the end of the provider's call p50 %s, p99 %s, slowest %s; billed beyond the screen at the press: %d tokens at most, the chat shows what was billed",
		p.chats, p.foreign, p.took[len(p.took)/2].Round(time.Millisecond/10), p.ninetyNinth().Round(time.Millisecond/10),
		p.took[len(p.took)-1].Round(time.Millisecond/10), slices.Max(p.further))
	return &p
}

func question(i int) string { return fmt.Sprintf("question %d of many", i) }

func (p *presses) ninetyNinth() time.Duration { return p.took[(len(p.took)*99+99)/100-1] }

// owners are the holders of the chats' shards.
func (s *site) owners() map[stream.Shard]string {
	owners := map[stream.Shard]string{}
	for shard := range stream.Shard(stream.Shards) {
		owners[shard] = s.redis.Client().Get(s.t.Context(), shard.Key("lease:inbox")).Val()
	}
	return owners
}

// press stops every answer and waits for the ends of the provider's calls.
func (p *presses) press(s *site) {
	for i := range p.chats {
		chat := int64(stopsChat + i)
		draft := s.telegram.Draft(chat)
		shown, pressed := strings.Count(draft.Text, "the"), time.Now()
		if err := s.telegram.Stop(chat, draft.DraftID); err != nil {
			s.t.Fatal(err)
		}
		// In less time than the first server has for its answers.
		within, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
		ended, err := s.model.Await(within, func(r llmsim.Request) bool {
			return r.Cancelled && strings.Contains(string(r.Body), question(i)+`"`)
		})
		cancel()
		if err != nil {
			s.t.Fatalf("chat %d: the provider's call goes on: %v", chat, err)
		}
		p.took = append(p.took, ended.Ended.Sub(pressed))
		p.further = append(p.further, -shown) // and what is billed, in judge
		time.Sleep(p.apart)
	}
}

// judge compares what was billed with what is shown.
func (p *presses) judge(s *site, owners map[stream.Shard]string) {
	now := s.owners()
	for i := range p.chats {
		chat := int64(stopsChat + i)
		shown := strings.Count(lastOf(s.telegram, chat), "the ") + 1 // the last word has none behind it
		s.until(time.Minute, "the call is in the ledger", func() bool {
			return s.one(`select count(*) from usage u join accounts a on a.id = u.account_id where a.telegram_id = $1`, chat) == 1
		})
		billed := int(s.one(`select u.completion_tokens from usage u join accounts a on a.id = u.account_id where a.telegram_id = $1`, chat))
		if billed != shown {
			s.t.Errorf("chat %d: %d tokens billed, %d in the chat", chat, billed, shown)
		}
		p.further[i] += billed
		if p.further[i] < 0 {
			s.t.Errorf("chat %d: %d tokens billed, %d were on the screen at the press", chat, billed, billed-p.further[i])
		}
		if shard := stream.ShardOfChat(chat); now[shard] != owners[shard] {
			p.foreign++
		}
	}
}

// lastOf is the bot's latest message in a chat.
func lastOf(telegram *telegramsim.Server, chat int64) (text string) {
	for _, m := range telegram.Messages(chat) {
		if m.FromBot() {
			text = m.Text
		}
	}
	return text
}
