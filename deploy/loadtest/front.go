package main

import (
	"context"

	"github.com/kikuai/kikuai/internal/testenv/nginxserver"
)

// clientNetwork is where k6's clients come from, each from an address of its own: all of
// 127.0.0.0/8 is this machine.
const clientNetwork = "127.1.0.0/22"

// What the front lets one address do, as it is set where nothing else is said
// (nginx/variables.envsh).
const (
	frontRate        = 50
	frontBurst       = 100
	frontConnections = 200
)

// startFront starts nginx before a kikuai that will listen on the address, unless clients
// are to go there directly.
func (here *site) startFront(ctx context.Context, upstream string, direct bool) (err error) {
	here.clients = clientNetwork
	if direct {
		here.url = "http://" + upstream
		return nil
	}
	here.front, err = nginxserver.Start(ctx, nginxserver.Options{
		Upstreams: []string{upstream}, Rate: frontRate, Burst: frontBurst, Connections: frontConnections,
	})
	if err != nil {
		return err
	}
	here.closers = append(here.closers, here.front.Close)
	here.url = here.front.URL()
	here.authority, err = here.front.CAFile()
	return err
}
