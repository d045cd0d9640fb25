package gateway

import (
	"context"
	"net"
	"sync"
	"time"
)

const (
	// queueIn bounds the wait until all connections that were made are accepted, and
	// queueEvery is between two looks at them.
	queueIn    = 2 * time.Second
	queueEvery = time.Millisecond
	// firstWord is what a connection that was accepted has to send its request.
	firstWord = 100 * time.Millisecond
	// noticeEvery is between two looks at whether anybody is connected yet.
	noticeEvery = 20 * time.Millisecond
)

// door is where connections come in. It closes when nobody waits at it: what is in the
// system's queue when a socket is closed is reset, and with it the request that was sent on
// it. Between the look and the close are microseconds.
type door struct {
	net.Listener

	once sync.Once
	err  error
}

// Close takes in those who have knocked, while Accept is called, and then nobody.
// Repeating it is harmless.
func (d *door) Close() error {
	d.once.Do(func() {
		for until := time.Now().Add(queueIn); waiting(d.Listener) > 0 && time.Now().Before(until); {
			time.Sleep(queueEvery)
		}
		d.err = d.Listener.Close()
	})
	return d.err
}

// giveNotice lets those who are connected and those who still come have one answer each,
// for as long as was chosen, half of what ctx leaves, or until nobody is connected.
func (s *Server) giveNotice(ctx context.Context) {
	d := s.door.Load()
	if s.notice <= 0 || d == nil {
		return
	}
	most := s.notice
	if end, bounded := ctx.Deadline(); bounded {
		most = min(most, time.Until(end)/2)
	}
	over := time.NewTimer(most)
	defer over.Stop()
	look := time.NewTicker(noticeEvery)
	defer look.Stop()
	for connected := true; connected; {
		select {
		case <-ctx.Done():
			return
		case <-over.C:
			connected = false
		case <-look.C:
			connected = s.app.Server().GetOpenConnectionsCount() > 0
		}
	}
	if err := d.Close(); err != nil {
		s.log.WarnContext(ctx, "the listener does not close", "err", err)
		return
	}
	select { // from here on Shutdown closes whoever sends nothing
	case <-ctx.Done():
	case <-time.After(firstWord):
	}
}
