//go:build prove

package main

import (
	"testing"
	"time"
)

// TestProveCheckouts: a thousand people pay at the same moment while 256 chats wait for
// slow answers.
func TestProveCheckouts(t *testing.T) {
	path, err := build() // its speed is what is asked for
	if err != nil {
		t.Fatal(err)
	}
	s := openTill(t)
	s.binary = path
	report := s.rush(1000, 256)
	waits := s.checkoutWaits()
	if len(waits) != report.Begun {
		t.Fatalf("%d of %d answered", len(waits), report.Begun)
	}
	at := func(percent int) time.Duration { return waits[(len(waits)-1)*percent/100].Round(time.Millisecond) }
	if at(99) > time.Second {
		t.Errorf("p99 %s from delivery to answer", at(99))
	}
	t.Logf("checkouts: %d of %d paid while 256 chats were busy; answered after p50 %s, p99 %s, at most %s from their delivery (p99 %s with Telegram's own delivery)",
		report.Paid, report.Begun, at(50), at(99), at(100), report.P99.Round(time.Millisecond))
}
