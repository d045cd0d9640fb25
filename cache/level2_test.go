package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// desk is level two with a space, without anything around it.
type desk struct {
	*instance
	t *testing.T
}

func (d desk) budget() *budget { return &budget{left: patience} }

func (d desk) begin(seen string, force bool) begun {
	d.t.Helper()
	b, err := d.level2.begin(context.Background(), d.budget(), d.things.s, "k", seen, 0, force)
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func (d desk) finish(ticket, value string) bool {
	d.t.Helper()
	blob := d.packer.pack(valueKey("things", "k"), 0, frame{value: []byte(value)})
	kept, err := d.level2.finish(context.Background(), d.budget(), d.things.s, "k", ticket, blob, time.Minute)
	if err != nil {
		d.t.Fatal(err)
	}
	return kept
}

func (d desk) look() (value, ticket string) {
	d.t.Helper()
	f, err := d.level2.look(context.Background(), d.budget(), d.things.s, "k")
	if err != nil {
		d.t.Fatal(err)
	}
	if !f.usable() {
		return "", f.seen
	}
	return string(f.frame.value), f.seen
}

// TestOrderOfWrites: which of several loads may write, step by step.
func TestOrderOfWrites(t *testing.T) {
	for name, client := range servers(t) {
		steps := func(what string, f func(t *testing.T, d desk)) {
			t.Run(name+" "+what, func(t *testing.T) {
				client.FlushAll(t.Context())
				f(t, desk{idle(t, options(client), spaceOptions()), t})
			})
		}
		steps("the later load wins", func(t *testing.T, d desk) {
			first, second := d.begin("", false), d.begin("", true)
			if first.ticket == "" || second.ticket <= first.ticket {
				t.Fatalf("tickets %q, %q", first.ticket, second.ticket)
			}
			if !d.finish(second.ticket, "2") || d.finish(first.ticket, "1") {
				t.Error("a slow load overwrote a newer value")
			}
			if v, _ := d.look(); v != "2" {
				t.Errorf("it holds %q", v)
			}
		})
		steps("the earlier load may be first", func(t *testing.T, d desk) {
			first, second := d.begin("", false), d.begin("", true)
			if !d.finish(first.ticket, "1") || !d.finish(second.ticket, "2") {
				t.Error("a newer value was refused")
			}
		})
		steps("an invalidation is not undone", func(t *testing.T, d desk) {
			first := d.begin("", false)
			if err := d.things.Invalidate(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			second := d.begin("", false) // the lock is free
			if second.ticket == "" {
				t.Fatal("the lock of a load that is too late was still held")
			}
			if d.finish(first.ticket, "1") {
				t.Error("what was invalidated came back")
			}
			if third := d.begin("", false); third.ticket != "" {
				t.Error("a load that is too late freed another's lock")
			}
			if !d.finish(second.ticket, "2") {
				t.Error("the load after the invalidation was refused")
			}
		})
		steps("a put is newer than loads begun before", func(t *testing.T, d desk) {
			first := d.begin("", false)
			if err := d.things.Put(t.Context(), "k", thing{Number: 2}); err != nil {
				t.Fatal(err)
			}
			if d.finish(first.ticket, "1") {
				t.Error("a slow load overwrote a put")
			}
		})
		steps("who has no ticket any more may not write", func(t *testing.T, d desk) {
			first := d.begin("", false)
			client.FlushAll(t.Context())
			if d.finish(first.ticket, "1") {
				t.Error("written after the tickets were lost")
			}
			second := d.begin("", false)
			if d.finish(first.ticket, "1") {
				t.Error("written with a ticket from before the loss")
			}
			if !d.finish(second.ticket, "2") {
				t.Error("a ticket from after the loss was refused")
			}
		})
		steps("the lock", func(t *testing.T, d desk) {
			first := d.begin("", false)
			if busy := d.begin("", false); busy.ticket != "" || busy.newer {
				t.Errorf("two loads got the lock: %+v", busy)
			}
			if _, err := d.level2.finish(t.Context(), d.budget(), d.things.s, "k", first.ticket, nil, 0); err != nil {
				t.Fatal(err)
			}
			second := d.begin("", false)
			if second.ticket == "" {
				t.Fatal("the lock of a load that failed was not freed")
			}
			d.finish(second.ticket, "2")
			if b := d.begin("", false); !b.newer {
				t.Errorf("nobody said that there is a value: %+v", b)
			}
			_, seen := d.look()
			if b := d.begin(seen, false); b.ticket == "" {
				t.Errorf("a refresh of what was seen got %+v", b)
			}
		})
		steps("a lock that nobody frees", func(t *testing.T, d desk) {
			d.level2.lock = time.Millisecond
			d.begin("", false)
			testenv.Until(t, "free itself", func() bool { return d.begin("", false).ticket != "" })
		})
		steps("keys of wrong types", func(t *testing.T, d desk) {
			value := valueKey("things", "k")
			client.LPush(t.Context(), value, "x")
			client.LPush(t.Context(), value+stateSuffix, "x")
			if b := d.begin("", false); b.ticket == "" || !d.finish(b.ticket, "1") {
				t.Fatalf("not mended: %+v", b)
			}
			client.Del(t.Context(), value, value+stateSuffix)
			client.LPush(t.Context(), value, "x")
			if v, seen := d.look(); v != "" || seen != "" || client.Exists(t.Context(), value).Val() != 0 {
				t.Errorf("found %q, %q", v, seen)
			}
		})
	}
}

// TestForeignValues: what level two holds and pack did not write for this key is a
// miss, deleted and counted, and the caller gets its value from the source.
func TestForeignValues(t *testing.T) {
	client := testenv.Redis(t)
	good := idle(t, options(client), spaceOptions())
	must(t, good, "other", func(context.Context) (thing, error) { return thing{Number: 9, Text: strings.Repeat("a", 5000)}, nil }, 9)
	raw, err := client.Get(t.Context(), valueKey("things", "other")).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(raw)
	flipped[len(raw)/2] ^= 1
	// Right checksum, wrong shape: another type was kept under this name and schema.
	shape := append([]byte(testTicket), good.packer.pack(valueKey("things", "k"), 0, frame{value: []byte(`["no thing"]`)})...)
	for name, value := range map[string]any{
		"nothing": "", "text": "hello", "truncated": raw[:len(raw)-3], "only a head": raw[:frameBytes], "flipped": flipped,
		"another key's": raw, "of another shape": shape, "huge": strings.Repeat("x", 3<<20), "for ever": nil,
	} {
		t.Run(name, func(t *testing.T) {
			i := idle(t, options(client), spaceOptions())
			life := time.Minute
			if name == "for ever" {
				value, life = append([]byte(testTicket), i.packer.pack(valueKey("things", "k"), 0, frame{value: []byte(`{"number":5}`)})...), 0
			}
			if err := client.Set(t.Context(), valueKey("things", "k"), value, life).Err(); err != nil {
				t.Fatal(err)
			}
			var src source
			src.number.Store(1)
			must(t, i, "k", src.load, 1)
			if n := i.count(t, "cache_corrupt_total"); n != 1 {
				t.Errorf("counted %v, want 1", n)
			}
			must(t, idle(t, options(client), spaceOptions()), "k", never(t), 1)
		})
	}
}

// TestUnkept: values above the cap, without an encoding, and keys that are too long
// reach the caller, and are neither kept nor written, and do not hold the lock.
func TestUnkept(t *testing.T) {
	client := testenv.Redis(t)
	so := spaceOptions()
	so.MaxBytes = 100
	i := start(t, options(client), so)
	for range 2 {
		if v, err := i.things.Fetch(t.Context(), "k", func(context.Context) (thing, error) { return thing{Text: strings.Repeat("a", 200)}, nil }); err != nil || len(v.Text) != 200 {
			t.Fatalf("%v, %v", v, err)
		}
	}
	if n := i.count(t, "cache_refused_total", "why=large"); n != 2 || client.Exists(t.Context(), valueKey("things", "k")).Val() != 0 {
		t.Errorf("refused %v times, want 2", n)
	}
	must(t, i, "k", func(context.Context) (thing, error) { return thing{Number: 1}, nil }, 1)
	if err := i.things.Put(t.Context(), "k", thing{Text: strings.Repeat("a", 200)}); err != nil {
		t.Fatal(err)
	}
	must(t, i, "k", func(context.Context) (thing, error) { return thing{Number: 2}, nil }, 2)

	long := strings.Repeat("k", maxKeyBytes+1)
	for n := range 2 {
		must(t, i, long, func(context.Context) (thing, error) { return thing{Number: n}, nil }, n)
	}
	if err := i.things.Put(t.Context(), long, thing{}); err != nil {
		t.Error(err)
	}
	if err := i.things.Invalidate(t.Context(), long); err != nil {
		t.Error(err)
	}

	odd := NewSpace[func()](i.Cache, SpaceOptions{Name: "odd", TTL: time.Minute})
	if f, err := odd.Fetch(t.Context(), "k", func(context.Context) (func(), error) { return func() {}, nil }); err != nil || f == nil {
		t.Errorf("a value without an encoding: %v", err)
	}
	if err := odd.Put(t.Context(), "k", func() {}); err == nil {
		t.Error("a value without an encoding was put")
	}
}

// TestBytes: a space of bytes keeps them as they are, compressed in Redis.
func TestBytes(t *testing.T) {
	client := testenv.Redis(t)
	fetch := func(load func(context.Context) ([]byte, error)) []byte {
		t.Helper()
		i := idle(t, options(client), spaceOptions())
		v, err := NewSpace[[]byte](i.Cache, SpaceOptions{Name: "bytes", TTL: time.Minute}).Fetch(t.Context(), "k", load)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	want := bytes.Repeat([]byte("\x00\xff text "), 1000)
	fetch(func(context.Context) ([]byte, error) { return want, nil })
	if stored := client.StrLen(t.Context(), valueKey("bytes", "k")).Val(); stored > 500 {
		t.Errorf("%d bytes are stored for %d", stored, len(want))
	}
	if got := fetch(func(context.Context) ([]byte, error) { return nil, errors.New("asked") }); !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back", len(got))
	}
}

// TestKeysOfAnyBytes lie apart in both levels.
func TestKeysOfAnyBytes(t *testing.T) {
	client := testenv.Redis(t)
	i, other := idle(t, options(client), spaceOptions()), idle(t, options(client), spaceOptions())
	keys := []string{"", " ", "{", "}", "{}", "a", "a!", "a}!", "*", "%", "%25", "\x00", "\xff\xfe", "a\r\nb", "é", strings.Repeat("\x00", maxKeyBytes)}
	for n, key := range keys {
		must(t, i, key, func(context.Context) (thing, error) { return thing{Number: n}, nil }, n)
	}
	for n, key := range keys {
		must(t, other, key, never(t), n)
	}
}

// TestFailFast reads URLs as the configuration has them, and keeps passwords to itself.
func TestFailFast(t *testing.T) {
	o, err := FailFast([]string{"redis://u:secret@a:1/2", "rediss://u:secret@b:2/2"})
	if err != nil || fmt.Sprint(o.Addrs) != "[a:1 b:2]" || o.Password != "secret" || o.DB != 2 || !o.IsClusterMode || o.TLSConfig == nil || o.MaxRetries != -1 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, urls := range [][]string{nil, {"http://:secret@x"}, {"redis://:secret@a:1/x"}} {
		if _, err := FailFast(urls); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %v", urls, err)
		}
	}
}
