package cache

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

const (
	readersVariable  = "KIKUAI_TEST_READERS" // what a process is to do, as JSON
	readersProcesses = 3
	readersLoad      = 100 * time.Millisecond // what the source takes
	loadsKey         = "test:loads"           // how often the source was asked
	flyingKey        = "test:flying"          // how many loads are under way
	mostKey          = "test:most"            // the most that ever were
	readyKey         = "test:ready"           // processes that are ready
	beginKey         = "test:begin"           // when all begin, in µs
)

// crowd is what one of several processes does: at each round all its readers ask for
// the same key at the same moment, when it has just expired everywhere; or, where there
// are no rounds, they ask again and again.
type crowd struct {
	Addr    string
	Out     string // where it writes its waits
	Readers int
	TTL     time.Duration
	Rounds  int
	Every   time.Duration // between rounds
	Length  time.Duration // without rounds
}

// TestReaderProcess is one of the processes that readers starts, and nothing by itself.
func TestReaderProcess(t *testing.T) {
	spec := os.Getenv(readersVariable)
	if spec == "" {
		return
	}
	var r crowd
	if err := json.Unmarshal([]byte(spec), &r); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r.run(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.Out, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run returns how long each read took.
func (r crowd) run(t *testing.T) []time.Duration {
	client := redis.NewClient(&redis.Options{Addr: r.Addr, ContextTimeoutEnabled: true, PoolSize: 32})
	t.Cleanup(func() { _ = client.Close() })
	so := SpaceOptions{Name: "things", TTL: r.TTL, L1TTL: r.TTL}
	if r.Rounds > 0 {
		so.Beta = 1e-9 // no refresh ahead of the expiry
	}
	i := start(t, options(client), so)
	load := func(ctx context.Context) (thing, error) {
		flying, err := client.Incr(ctx, flyingKey).Result()
		if err == nil {
			err = client.ZAdd(ctx, mostKey, redis.Z{Score: float64(flying), Member: flying}).Err()
		}
		n, countErr := client.Incr(ctx, loadsKey).Result()
		if err == nil {
			err = countErr
		}
		time.Sleep(readersLoad) // the source is slow
		if downErr := client.Decr(ctx, flyingKey).Err(); err == nil {
			err = downErr
		}
		return thing{Number: int(n)}, err
	}
	begin := await(t, client)
	waits := make([][]time.Duration, r.Readers)
	var group sync.WaitGroup
	for reader := range waits {
		group.Go(func() {
			ask := func() {
				began := time.Now()
				if _, err := i.things.Fetch(t.Context(), "one", load); err != nil {
					t.Error(err)
				}
				waits[reader] = append(waits[reader], time.Since(began))
			}
			for round := range r.Rounds {
				time.Sleep(time.Until(begin.Add(time.Duration(round) * r.Every)))
				ask()
			}
			if r.Rounds == 0 {
				time.Sleep(time.Until(begin))
				for end := begin.Add(r.Length); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
					ask()
				}
			}
		})
	}
	group.Wait()
	return slices.Concat(waits...)
}

// await tells that this process is ready and returns when all begin.
func await(t *testing.T, client *redis.Client) (begin time.Time) {
	t.Helper()
	if err := client.Incr(t.Context(), readyKey).Err(); err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, "begin", func() bool {
		micros, err := client.Get(t.Context(), beginKey).Int64()
		begin = time.UnixMicro(micros)
		return err == nil
	})
	return begin
}

// readers starts the processes on one Redis and returns how often the source was asked,
// the most loads there ever were at once, and how long the reads took.
func readers(t *testing.T, r crowd) (loads, most int64, waits []time.Duration) {
	t.Helper()
	server := testenv.RedisServer(t)
	r.Addr = server.Addr
	dir := t.TempDir()
	var children []*exec.Cmd
	var said []*strings.Builder
	for i := range readersProcesses {
		r.Out = filepath.Join(dir, strconv.Itoa(i))
		spec, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReaderProcess$")
		child.Env = append(os.Environ(), readersVariable+"="+string(spec))
		text := new(strings.Builder)
		child.Stdout, child.Stderr = text, text
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		children, said = append(children, child), append(said, text)
	}
	client := server.Client()
	testenv.Until(t, "be ready", func() bool {
		ready, err := client.Get(t.Context(), readyKey).Int()
		return err == nil && ready == readersProcesses
	})
	if err := client.Set(t.Context(), beginKey, time.Now().Add(300*time.Millisecond).UnixMicro(), 0).Err(); err != nil {
		t.Fatal(err)
	}
	for i, child := range children {
		if err := child.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, said[i])
		}
		text, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		var some []time.Duration
		if err := json.Unmarshal(text, &some); err != nil {
			t.Fatal(err)
		}
		waits = append(waits, some...)
	}
	highest, err := client.ZRevRangeWithScores(t.Context(), mostKey, 0, 0).Result()
	if err != nil || len(highest) == 0 {
		t.Fatalf("no load: %v", err)
	}
	if loads, err = client.Get(t.Context(), loadsKey).Int64(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(waits)
	return loads, int64(highest[0].Score), waits
}

// atExpiry lets so many readers in three processes ask for a key at the moment that it
// has expired, round after round: each round the source is asked once.
func atExpiry(t *testing.T, each, rounds int) string {
	t.Helper()
	const ttl, every = 2 * time.Second, 3500 * time.Millisecond
	loads, most, waits := readers(t, crowd{Readers: each, TTL: ttl, Rounds: rounds, Every: every})
	if loads != int64(rounds) || most != 1 {
		t.Errorf("%d loads at %d expiries, %d at once", loads, rounds, most)
	}
	return fmt.Sprintf("%d readers in %d processes at %d expiries: %d loads, %d at once; a load takes %s, the slowest read %s",
		each*readersProcesses, readersProcesses, rounds, loads, most, readersLoad, waits[len(waits)-1].Round(time.Millisecond))
}

// steadyReads lets the same readers ask all the time: the value is renewed before it
// expires, by one of them, while nobody waits.
func steadyReads(t *testing.T, each int, length time.Duration) string {
	t.Helper()
	const ttl = 2 * time.Second
	loads, most, waits := readers(t, crowd{Readers: each, TTL: ttl, Length: length})
	waited := 0
	for _, took := range waits {
		if took > readersLoad*9/10 {
			waited++
		}
	}
	generations := int64(length/ttl) + 1
	if most != 1 || loads < generations/2 || loads > 3*generations {
		t.Errorf("%d loads in %d lives of a value, %d at once", loads, generations, most)
	}
	return fmt.Sprintf("read without a pause for %s: %d loads in %d lives, %d at once; %d of %d reads took as long as a load, and %d had to for the first",
		length, loads, generations, most, waited, len(waits), each*readersProcesses)
}

// TestReaders: what expires is loaded once, whoever asks, in whatever process.
func TestReaders(t *testing.T) { t.Logf("readers: %s", atExpiry(t, 100, 2)) }
