package bot

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// fasthttp keeps a clock for the Date header that nothing ends.
func TestMain(m *testing.M) {
	testenv.Main(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

const (
	patience = time.Minute
	poll     = 5 * time.Millisecond
	shortTTL = time.Second
)

// quick are options of a client that fails soon.
func quick() redis.Options {
	return redis.Options{
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, DialTimeout: 500 * time.Millisecond,
		ReadTimeout: 500 * time.Millisecond, WriteTimeout: 500 * time.Millisecond, PoolSize: 64,
	}
}

func textUpdate(id, chat int64, text string) []byte {
	return fmt.Appendf(nil,
		`{"update_id":%d,"message":{"message_id":%d,"date":1700000000,"chat":{"id":%d,"type":"private"},"from":{"id":%d,"is_bot":false,"first_name":"A"},"text":%q}}`,
		id, id, chat, chat, text)
}

func callbackUpdate(id, chat int64) []byte {
	return fmt.Appendf(nil,
		`{"update_id":%d,"callback_query":{"id":"q%d","from":{"id":%d,"is_bot":false,"first_name":"A"},"chat_instance":"1","data":"x","message":{"message_id":1,"date":1700000000,"chat":{"id":%d,"type":"private"}}}}`,
		id, id, chat, chat)
}

// handle is a Handler made of a function.
type handle func(ctx context.Context, u *Update) error

func (h handle) Handle(ctx context.Context, u *Update) error { return h(ctx, u) }

// machine is an inbox with a Redis of its own, and dispatchers on demand.
type machine struct {
	t      *testing.T
	server *testenv.RedisHandle
	client *redis.Client
	inbox  *Inbox
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	server := testenv.RedisServer(t)
	client := server.Client() // of the test itself, which a busy machine may keep waiting
	return &machine{t: t, server: server, client: client, inbox: NewInbox(client)}
}

// hasty is the inbox of a product that does not wait long for Redis.
func (m *machine) hasty() *Inbox { return NewInbox(m.server.ClientWith(quick())) }

func (m *machine) put(raw []byte) {
	m.t.Helper()
	if err := m.inbox.Append(context.Background(), raw); err != nil {
		m.t.Fatal(err)
	}
}

type running struct {
	*Dispatcher
	leases   *stream.Leases
	registry *prometheus.Registry
	stop     func() // ends it and waits; may be called again
}

// dispatch runs a dispatcher until the test's end.
func (m *machine) dispatch(h handle, change ...func(*Dispatcher)) *running {
	m.t.Helper()
	client := m.server.ClientWith(quick())
	log := testenv.Logger(m.t)
	leases := stream.NewLeases(stream.LeasesOptions{Name: "inbox", Redis: client, Log: log, TTL: shortTTL})
	registry := prometheus.NewRegistry()
	d := NewDispatcher(DispatcherOptions{
		Redis: client, Blocking: m.server.ClientWith(quick()), Leases: leases, Handler: h, Log: log,
		Registerer: registry, Drain: 2 * time.Second,
	})
	d.timing = timing{retry: 2 * time.Millisecond, later: 2 * time.Millisecond, laterMost: 10 * time.Millisecond}
	for _, c := range change {
		c(d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := d.Run(ctx); err != nil {
			m.t.Errorf("Run: %v", err)
		}
	}()
	stop := sync.OnceFunc(func() {
		cancel()
		<-done
	})
	m.t.Cleanup(stop)
	return &running{Dispatcher: d, leases: leases, registry: registry, stop: stop}
}

// left counts the entries of all streams.
func (m *machine) left() (entries int64) {
	m.t.Helper()
	for s := range stream.Shards {
		for l := range laneCount {
			n, err := m.client.XLen(context.Background(), stream.Shard(s).Key(l.String())).Result()
			if err != nil {
				m.t.Fatal(err)
			}
			entries += n
		}
	}
	return entries
}

func (m *machine) dead() []DeadLetter {
	m.t.Helper()
	letters, err := NewDeadLetters(m.client).List(context.Background(), 100)
	if err != nil {
		m.t.Fatal(err)
	}
	return letters
}

// metric returns the value of a counter or gauge with the given label values, in order.
func metric(t *testing.T, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	series:
		for _, series := range family.GetMetric() {
			for i, pair := range series.GetLabel() {
				if i >= len(labels) || pair.GetValue() != labels[i] {
					continue series
				}
			}
			return series.GetCounter().GetValue() + series.GetGauge().GetValue()
		}
	}
	return 0
}
