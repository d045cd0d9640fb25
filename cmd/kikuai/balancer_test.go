package main

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// balancer passes connections on to servers in turn, as one in front of a fleet does, and
// knows nothing of what is said over them.
type balancer struct {
	listener net.Listener
	work     sync.WaitGroup

	mu      sync.Mutex
	servers []string // addresses, in rotation
	next    int
	conns   map[net.Conn]struct{}
	closed  bool
}

func newBalancer(t *testing.T, sites ...*site) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{listener: listener, conns: map[net.Conn]struct{}{}}
	for _, s := range sites {
		b.put(s)
	}
	b.work.Go(b.accept)
	t.Cleanup(b.close)
	return b
}

func (b *balancer) url() string { return "http://" + b.listener.Addr().String() }

// put takes a server into the rotation; take takes it out. Its connections stay.
func (b *balancer) put(s *site) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.servers = append(b.servers, strings.TrimPrefix(s.url, "http://"))
}

func (b *balancer) take(s *site) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := b.servers[:0]
	for _, address := range b.servers {
		if "http://"+address != s.url {
			rest = append(rest, address)
		}
	}
	b.servers = rest
}

func (b *balancer) accept() {
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.work.Go(func() { b.pass(client) })
	}
}

func (b *balancer) pass(client net.Conn) {
	defer func() { _ = client.Close() }()
	b.mu.Lock()
	address := ""
	if len(b.servers) > 0 {
		address = b.servers[b.next%len(b.servers)]
		b.next++
	}
	b.mu.Unlock()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !b.hold(client, server) {
		return
	}
	defer b.drop(client, server)
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{server, client}, {client, server}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].(*net.TCPConn).CloseWrite()
		})
	}
	both.Wait()
}

// hold remembers connections for close; false: it is closed already.
func (b *balancer) hold(conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		b.conns[c] = struct{}{}
	}
	return !b.closed
}

func (b *balancer) drop(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		delete(b.conns, c)
	}
}

func (b *balancer) close() {
	_ = b.listener.Close()
	b.mu.Lock()
	b.closed = true
	for c := range b.conns {
		_ = c.Close()
	}
	b.mu.Unlock()
	b.work.Wait()
}
