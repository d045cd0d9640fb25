package outbox

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// post is a sender that keeps what it is given.
type post struct {
	mu     sync.Mutex
	sent   []bot.Message
	answer func(ctx context.Context, m bot.Message) error // nil: all is well
}

func (p *post) Send(ctx context.Context, m bot.Message) (int, error) {
	p.mu.Lock()
	answer := p.answer
	p.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, m); err != nil {
			return 0, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, m)
	return len(p.sent), nil
}

func (p *post) texts() (texts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.sent {
		texts = append(texts, m.Text)
	}
	return texts
}

// rig is an outbox with a Postgres of its own.
type rig struct {
	t    *testing.T
	pool *pgxpool.Pool
	box  *Outbox
	post *post
}

func newRig(t *testing.T) *rig {
	t.Helper()
	pool := testenv.Postgres(t)
	return &rig{t: t, pool: pool, box: New(pool), post: &post{}}
}

// courier works until the test's end, or until the function it returns is called.
func (r *rig) courier(hold time.Duration) (stop func()) {
	r.t.Helper()
	c := NewCourier(CourierOptions{Outbox: r.box, Sender: r.post, Log: testenv.Logger(r.t), Registerer: prometheus.NewRegistry()})
	c.hold = hold
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) put(name string, chat int64, text string) {
	r.t.Helper()
	if _, err := r.box.Put(r.t.Context(), Post{Name: name, Message: bot.Message{ChatID: chat, Text: text}}); err != nil {
		r.t.Fatal(err)
	}
}

// states counts the messages by state.
func (r *rig) states() map[string]int {
	r.t.Helper()
	rows, err := r.pool.Query(r.t.Context(), `select state, count(*) from outbox group by state`)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	states := map[string]int{}
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			r.t.Fatal(err)
		}
		states[state] = n
	}
	return states
}
