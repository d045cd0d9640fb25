package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim/crowd"
)

const (
	eventsPerSecond = 500
	firstPerson     = 2_000_001 // of the crowd; the scripts' people have larger ids, accounts with keys smaller ones
	secondsEach     = 8         // between two messages of a person: Telegram lets a bot send one a second there
	newPerSecond    = 100
	connections     = 100              // of Telegram to the webhook, as many as it lets a bot ask for
	spareRecords    = 20_000           // that the simulator keeps beside one for each update
	quietMost       = 30 * time.Second // without an answer before the rest counts as lost
	eventsP99       = 2 * time.Second  // from written to answered
	lostMost        = 0.01
)

// introduce sets the webhook and lets everybody meet the bot: that opens an account, which is
// not what is measured.
func introduce(ctx context.Context, here *site, l load, s settings) error {
	rate, people, _ := crowdOf(l, s)
	if err := here.telegram.SetWebhook(here.url+"/webhook", webhookSecret, connections); err != nil {
		return err
	}
	_, err := crowd.Run(ctx, here.telegram, crowd.Options{
		Chats: people, Each: 1, FirstChat: firstPerson, Rate: min(rate, newPerSecond), Answers: crowd.Any, Wait: quietMost,
		Text: func(string) string { return "/balance" },
	})
	return err
}

// runEvents lets a crowd write to the bot through the webhook. Telegram's side is the
// simulator: it delivers as Telegram does, one update of a chat at a time, and again where
// it was not acknowledged. Each message is answered by one message; one in ten is a question
// to the model, the others are commands.
func runEvents(ctx context.Context, here *site, l load, s settings) (outcome, error) {
	rate, people, each := crowdOf(l, s)
	began := time.Now()
	result, err := crowd.Run(ctx, here.telegram, crowd.Options{
		Chats: people, Each: each, FirstChat: firstPerson, Rate: rate, Answers: crowd.Any, Wait: quietMost, Text: say,
	})
	if err != nil {
		return outcome{}, err
	}
	return eventsOutcome(result, time.Since(began)), nil
}

// crowdOf says how many messages a second how many people write, and how many each of them.
func crowdOf(l load, s settings) (rate float64, people, each int) {
	rate = max(1, eventsPerSecond*s.scale)
	return rate, max(1, int(rate*secondsEach)), max(1, int(l.length(s).Seconds()/secondsEach))
}

// say is what a person writes as that message of theirs.
func say(mark string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(mark))
	switch n := h.Sum32() % 10; {
	case n == 0:
		return "What is the smallest prime above a hundred? " + mark
	case n < 5:
		return "/balance"
	case n < 8:
		return "/help"
	}
	return "/terms"
}

func eventsOutcome(r *crowd.Result, took time.Duration) outcome {
	o := outcome{
		length: took, requests: int64(r.Messages),
		p50: time.Duration(r.Final.P50), p95: time.Duration(r.Final.P95), p99: time.Duration(r.Final.P99),
		errors: float64(r.Lost) / float64(max(r.Messages, 1)),
		besides: fmt.Sprintf("written to answered; acknowledged p50 %s, p99 %s; %d lost, %d not acknowledged, %d out of order, %d delivered again, %d told to wait",
			r.Acknowledged.P50, r.Acknowledged.P99, r.Lost, r.Unacknowledged+r.GivenUp, r.Reordered+r.OutOfOrder, r.Retries, r.TooMany.Caused),
	}
	if o.errors >= lostMost {
		o.missed = append(o.missed, "answered: lost<1%")
	}
	if o.p99 >= eventsP99 {
		o.missed = append(o.missed, fmt.Sprintf("answered: p99<%s", eventsP99))
	}
	if n := r.Unacknowledged + r.GivenUp + r.OutOfOrder + r.Reordered; n > 0 {
		o.missed = append(o.missed, "delivered: each update once, in order")
	}
	return o
}
