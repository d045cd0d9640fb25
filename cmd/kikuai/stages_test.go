package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestStagesStopInOrder(t *testing.T) {
	var mu sync.Mutex
	var order []string
	part := func(name string) service {
		return service{name, func(ctx context.Context) error {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			order = append(order, name)
			return nil
		}}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := runStages(ctx, testenv.Logger(t), []stage{{part("edge")}, {part("meter")}, {part("ledger")}}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"edge", "meter", "ledger"}; !slices.Equal(order, want) {
		t.Fatalf("stopped as %v, want %v", order, want)
	}
}

func TestAFailingPartStopsTheRest(t *testing.T) {
	broken := errors.New("broken")
	stopped := make(chan struct{})
	err := runStages(t.Context(), testenv.Logger(t), []stage{
		{{"waits", func(ctx context.Context) error { <-ctx.Done(); close(stopped); return nil }}},
		{{"fails", func(context.Context) error { return broken }}},
	})
	if !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	<-stopped
}
