package billing

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
)

// usageColumns are the columns of usage and usage_hourly, in the order of Usage's numbers.
var usageColumns = [usageCounts]string{
	"prompt_tokens", "cached_tokens", "cached_input_audio_tokens", "cache_write_tokens", "cache_write_1h_tokens", "input_audio_tokens", "input_image_tokens",
	"completion_tokens", "reasoning_tokens", "output_audio_tokens", "output_image_tokens", "images", "audio_ms", "characters",
}

// everything is a usage in which each number is another.
var everything = Usage{Prompt: 1000, Cached: 1, CachedInputAudio: 2, CacheWrite: 3, CacheWrite1h: 4, InputAudio: 5, InputImage: 6,
	Completion: 500, Reasoning: 7, OutputAudio: 8, OutputImage: 9, Images: 10, AudioMS: 11, Characters: 12}

// No number of a usage is forgotten on its way: where a field is added, it has to be
// told by an event, kept in a column, summed in the hours and compared there.
func TestUsageComplete(t *testing.T) {
	numbers := 0
	for field := range reflect.TypeFor[Usage]().Fields() {
		if field.Type.Kind() == reflect.Int64 {
			numbers++
		}
	}
	if numbers != usageCounts {
		t.Fatalf("a usage has %d numbers, of which %d are counted", numbers, usageCounts)
	}
	seen := map[int64]bool{}
	for i, n := range everything.counts() {
		if n == 0 || seen[n] {
			t.Fatalf("number %d of %+v is %d", i, everything, n)
		}
		seen[n] = true
	}
	told := everything
	told.Estimated = true
	text := encodePayload(&Settlement{Usage: told})
	var p payload
	if err := json.Unmarshal(text, &p); err != nil || p.usage() != told {
		t.Fatalf("told as %s, read as %+v, %v", text, p.usage(), err)
	}
}

func TestUsageKinds(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(1_000_000)
	owner := r.owners[shardOf(account)]
	for i := range int64(2) {
		id := fmt.Sprintf("u-%d", i)
		r.reserve(account, id, 1000)
		s := settlement(account, id, 100)
		s.Usage = everything
		_, err := r.desk.Holds.Settle(t.Context(), s)
		r.must(err)
		s.Usage.Characters++ // a repeat is told from another call by each number
		if _, err := r.desk.Holds.Settle(t.Context(), s); err == nil {
			t.Error("settled with another usage")
		}
		r.drain(owner) // the second call is added to the hour of the first
	}
	r.wantBooks(t.Context())
	want := everything.counts()
	for i, column := range usageColumns {
		if n := r.count(`select sum(`+column+`) from usage where account_id = $1`, account); n != 2*want[i] {
			t.Errorf("%s: %d in calls, want %d", column, n, 2*want[i])
		}
		for _, table := range []string{"usage_hourly", "usage_quarters"} {
			if n := r.count(`select sum(`+column+`) from `+table+` where account_id = $1`, account); n != 2*want[i] {
				t.Errorf("%s: %d in %s, want %d", column, n, table, 2*want[i])
			}
		}
	}
	// Whatever the rollups are wrong in is found.
	for table, rule := range map[string]string{"usage_hourly": RuleUsageHourly, "usage_quarters": RuleUsageQuarters} {
		for _, column := range usageColumns {
			_, err := r.pool.Exec(t.Context(), `update `+table+` set `+column+` = `+column+` + 1 where account_id = $1`, account)
			r.must(err)
			differences, err := r.desk.Ledger.Check(t.Context())
			r.must(err)
			if len(differences) != 1 || differences[0].Rule != rule {
				t.Errorf("%s of %s changed: %+v", column, table, differences)
			}
			_, err = r.pool.Exec(t.Context(), `update `+table+` set `+column+` = `+column+` - 1 where account_id = $1`, account)
			r.must(err)
		}
	}
}
