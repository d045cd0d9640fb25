package bot

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestBatcherGathers(t *testing.T) {
	a := newAPI(t)
	b := NewBatcher(a.sender())
	var joined []*batch
	for range batchMost {
		joined = append(joined, b.join())
	}
	next := b.join()
	for _, one := range joined {
		if one != joined[0] || one == next {
			t.Fatal("ten messages are not one batch")
		}
	}
	<-joined[0].released
	if n := len(joined[0].permits); n != batchMost {
		t.Errorf("%d may go, want %d", n, batchMost)
	}
	<-next.released // though it is not full
	if n := len(next.permits); n != 1 {
		t.Errorf("%d may go, want 1", n)
	}
}

// Who leaves while waiting holds up nobody.
func TestBatcherLeft(t *testing.T) {
	a := newAPI(t)
	b := NewBatcher(a.sender())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Send(gone, Message{ChatID: 7, Text: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Send: %v", err)
	}
	var sent sync.WaitGroup
	for i := range batchMost {
		sent.Go(func() {
			if _, err := b.Send(t.Context(), Message{ChatID: 100 + int64(i), Text: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	sent.Wait()
	if n := len(a.made("sendMessage")); n != batchMost {
		t.Errorf("%d sent", n)
	}
}

// An answer does not wait for what nobody waits for.
func TestAnswersPassTheBatcher(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	b := NewBatcher(s)
	var bulk sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 50 {
		bulk.Go(func() { _, _ = b.Send(ctx, Message{ChatID: 100 + int64(i), Text: "bulk"}) })
	}
	if _, err := s.Send(t.Context(), Message{ChatID: 7, Text: "answer"}); err != nil {
		t.Error(err)
	}
	if n := len(a.made("sendMessage")); n > 40 {
		t.Errorf("the answer came after %d others", n-1)
	}
	cancel()
	bulk.Wait()
	testenv.Until(t, "no batch is left", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		select {
		case <-b.last.released:
			return true
		default:
			return false
		}
	})
}

func TestLocalBulkPace(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	p := newPacer(func() time.Time { return now })
	if wait := p.takeBulk(bulkBurst, bulkEvery); wait != 0 {
		t.Errorf("a burst waits %v", wait)
	}
	if wait := p.takeBulk(1, bulkEvery); wait != bulkEvery {
		t.Errorf("beyond the burst: %v", wait)
	}
	now = now.Add(bulkEvery)
	if wait := p.takeBulk(1, bulkEvery); wait != 0 {
		t.Errorf("after its time: %v", wait)
	}
}

func TestSendUnasked(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	started := time.Now()
	for i := range bulkBurst + 3 {
		if _, err := s.SendUnasked(t.Context(), Message{ChatID: 100 + int64(i), Text: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(started); took < 2*bulkEvery {
		t.Errorf("three beyond the burst in %v", took)
	}
	s.pace.local.bulk = time.Now().Add(time.Hour)
	short, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.SendUnasked(short, Message{ChatID: 7, Text: "x"}); !errors.Is(err, ErrTryLater) {
		t.Errorf("without a turn in time: %v", err)
	}
}
