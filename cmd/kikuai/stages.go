package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

var errUnexpectedEnd = errors.New("unexpectedly")

// service is a part of the program that runs until its context ends.
type service struct {
	name string
	run  func(context.Context) error
}

// stage is services that stop together. Stages stop in the order they are listed:
// what takes work in before what carries it out, and that before what records it.
type stage []service

// runStages runs all services until ctx ends or one of them fails, then stops one
// stage after another, each once the one before has stopped.
func runStages(ctx context.Context, log *slog.Logger, stages []stage) error {
	failed := make(chan error, 1)
	cancels := make([]context.CancelFunc, len(stages))
	groups := make([]sync.WaitGroup, len(stages))
	for i, services := range stages {
		var within context.Context
		within, cancels[i] = context.WithCancel(context.WithoutCancel(ctx))
		for _, s := range services {
			groups[i].Go(func() {
				err := s.run(within)
				if err == nil && within.Err() != nil {
					return
				}
				select {
				case failed <- fmt.Errorf("%s ended: %w", s.name, orUnexpected(err)):
				default:
				}
			})
		}
	}
	var err error
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-failed:
		log.Error("stopping because a part of the program ended", "error", err)
	}
	for i := range stages {
		cancels[i]()
		groups[i].Wait()
	}
	if err == nil {
		select {
		case err = <-failed:
		default:
		}
	}
	return err
}

func orUnexpected(err error) error {
	if err == nil {
		return errUnexpectedEnd
	}
	return err
}
