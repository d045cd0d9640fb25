package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// crowd is the size of a crash test.
type crowd struct {
	chats, each int
	killEvery   time.Duration
	within      time.Duration
}

func TestE2ECrashes(t *testing.T) {
	crashes(t, crowd{chats: 20, each: 10, killEvery: 2 * time.Second, within: 4 * time.Minute})
}

// crashes kills the server again and again while a crowd writes: every acknowledged
// update takes effect, in its chat's order, and the books balance.
func crashes(t *testing.T, c crowd) {
	s := newSite(t, func(o *telegramsim.Options) { o.RetryScale = 0.05 })
	s.env["WELCOME_CREDIT_USD"] = "5"
	serve := s.serve()
	s.command("webhook", "set")

	ctx, cancel := context.WithTimeout(t.Context(), c.within)
	defer cancel()
	const firstChat = 3_000_001
	type outcome struct {
		report telegramsim.ReplayReport
		err    error
	}
	replayed := make(chan outcome, 1)
	go func() {
		report, err := s.telegram.Replay(ctx, telegramsim.ReplayOptions{
			Chats: c.chats, PerChat: c.each, FirstChat: firstChat, Wait: c.within,
			Text: func(chat int64, i int) string { return fmt.Sprintf("message %d of %d.", i, chat) },
		})
		replayed <- outcome{report, err}
	}()

	kills := 0
	tick := time.NewTicker(c.killEvery)
	defer tick.Stop()
	answered := func() bool {
		for n := range c.chats {
			if len(firstAnswers(s, firstChat+int64(n))) < c.each {
				return false
			}
		}
		return true
	}
	for !answered() {
		select {
		case <-ctx.Done():
			t.Fatalf("not all answered after %s and %d kills", c.within, kills)
		case <-tick.C:
			serve.kill()
			kills++
			serve = s.serve()
		}
	}
	result := <-replayed
	if result.err != nil {
		t.Fatal(result.err)
	}
	lost, reordered, repeated := s.judge(firstChat, c)
	serve.waitReady()
	serve.stop()
	s.reconciled()
	if lost > 0 || reordered > 0 || len(result.report.Missing) > 0 || len(result.report.Lost) > 0 {
		t.Errorf("lost %d, reordered %d, unacknowledged %d, given up %d", lost, reordered, len(result.report.Missing), len(result.report.Lost))
	}
	t.Logf("crashes: %d chats × %d messages, %d kills: lost %d, reordered %d, sent twice %d, acknowledged p99 %s, took %s",
		c.chats, c.each, kills, lost, reordered, repeated, result.report.AckP99.Round(time.Millisecond), result.report.Elapsed.Round(time.Second))
}

// firstAnswers lists which messages of the chat were answered, in order of their first answer.
func firstAnswers(s *site, chat int64) []int {
	var order []int
	seen := map[int]bool{}
	for _, m := range s.telegram.Messages(chat) {
		var i int
		var whose int64
		if !m.FromBot() {
			continue
		}
		if n, _ := fmt.Sscanf(m.Text, "message %d of %d.", &i, &whose); n == 2 && whose == chat && !seen[i] {
			seen[i] = true
			order = append(order, i)
		}
	}
	return order
}

// judge compares what each chat got with what it sent.
func (s *site) judge(firstChat int64, c crowd) (lost, reordered, repeated int) {
	for n := range c.chats {
		chat := firstChat + int64(n)
		order := firstAnswers(s, chat)
		lost += c.each - len(order)
		for i := 1; i < len(order); i++ {
			if order[i] < order[i-1] {
				reordered++
			}
		}
		answers := 0
		for _, m := range s.telegram.Messages(chat) {
			if m.FromBot() && strings.HasPrefix(m.Text, "message ") {
				answers++
			}
		}
		repeated += answers - len(order)
	}
	return lost, reordered, repeated
}
