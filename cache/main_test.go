package cache

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// patience is what tests wait for Redis and each other: a busy machine is no outage.
const patience = time.Minute

// thing is a value of the tests.
type thing struct {
	Number int    `json:"number"`
	Text   string `json:"text,omitempty"`
}

// instance is a Cache that runs, as one of several processes would.
type instance struct {
	*Cache
	registry *prometheus.Registry
	things   *Space[thing]
}

func options(client redis.UniversalClient) Options {
	return Options{Redis: client, RedisPatience: patience, LockWait: patience}
}

func spaceOptions() SpaceOptions {
	return SpaceOptions{Name: "things", TTL: time.Minute, L1TTL: time.Minute, Negative: time.Minute}
}

// start runs an instance until the test ends, and returns when it hears the others.
func start(t *testing.T, o Options, so SpaceOptions) *instance {
	t.Helper()
	i := idle(t, o, so)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- i.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if o.Redis != nil {
		testenv.Until(t, "subscribe", func() bool { return i.count(t, "cache_resyncs_total") > 0 })
	}
	return i
}

// idle is an instance whose Run was not called.
func idle(t *testing.T, o Options, so SpaceOptions) *instance {
	t.Helper()
	i := &instance{registry: prometheus.NewRegistry()}
	o.Registerer = i.registry
	if o.Log == nil {
		o.Log = testenv.Logger(t)
	}
	var err error
	if i.Cache, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	i.things = NewSpace[thing](i.Cache, so)
	return i
}

// count is the value of a metric, summed over its children whose labels, written
// name=value, hold all of labels.
func (i *instance) count(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := i.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if has(m, labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func has(m *dto.Metric, labels []string) bool {
	var got []string
	for _, l := range m.GetLabel() {
		got = append(got, l.GetName()+"="+l.GetValue())
	}
	text := " " + strings.Join(got, " ") + " "
	for _, l := range labels {
		if !strings.Contains(text, " "+l+" ") {
			return false
		}
	}
	return true
}

// source counts what it is asked.
type source struct {
	asked  atomic.Int64
	number atomic.Int64
}

func (s *source) load(context.Context) (thing, error) {
	s.asked.Add(1)
	return thing{Number: int(s.number.Load())}, nil
}

// must fetches and compares.
func must(t testing.TB, i *instance, key string, load func(context.Context) (thing, error), want int) {
	t.Helper()
	got, err := i.things.Fetch(context.Background(), key, load)
	if err != nil {
		t.Fatal(err)
	}
	if got.Number != want {
		t.Fatalf("%s: %d, want %d", fmt.Sprintf("%q", key), got.Number, want)
	}
}

func never(t testing.TB) func(context.Context) (thing, error) {
	return func(context.Context) (thing, error) {
		t.Error("the source was asked")
		return thing{}, nil
	}
}
