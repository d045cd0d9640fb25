package billing

import (
	"cmp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Usage of any span is summed of rollups: of UTC's hours, and of their quarters, which
// hours and days of zones that are half an hour or 45 minutes off UTC are made of.
const (
	hoursSQL    = `insert into usage_hourly as h (hour, ` + rollupRows + `(account_id, hour, key_id, model)` + rollupAdds
	quartersSQL = `insert into usage_quarters as h (quarter, ` + rollupRows + `(account_id, quarter, key_id, model)` + rollupAdds

	rollupRows = `account_id, key_id, model, calls, estimated_calls, cost_nano, captured_nano, write_off_nano,
		prompt_tokens, cached_tokens, cached_input_audio_tokens, cache_write_tokens, cache_write_1h_tokens,
		input_audio_tokens, input_image_tokens, completion_tokens, reasoning_tokens, output_audio_tokens,
		output_image_tokens, images, audio_ms, characters)
	select * from unnest($1::timestamptz[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
		$9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
		$18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[])
	on conflict `
	rollupAdds = ` do update set
		calls = h.calls + excluded.calls,
		estimated_calls = h.estimated_calls + excluded.estimated_calls,
		cost_nano = h.cost_nano + excluded.cost_nano,
		captured_nano = h.captured_nano + excluded.captured_nano,
		write_off_nano = h.write_off_nano + excluded.write_off_nano,
		prompt_tokens = h.prompt_tokens + excluded.prompt_tokens,
		cached_tokens = h.cached_tokens + excluded.cached_tokens,
		cached_input_audio_tokens = h.cached_input_audio_tokens + excluded.cached_input_audio_tokens,
		cache_write_tokens = h.cache_write_tokens + excluded.cache_write_tokens,
		cache_write_1h_tokens = h.cache_write_1h_tokens + excluded.cache_write_1h_tokens,
		input_audio_tokens = h.input_audio_tokens + excluded.input_audio_tokens,
		input_image_tokens = h.input_image_tokens + excluded.input_image_tokens,
		completion_tokens = h.completion_tokens + excluded.completion_tokens,
		reasoning_tokens = h.reasoning_tokens + excluded.reasoning_tokens,
		output_audio_tokens = h.output_audio_tokens + excluded.output_audio_tokens,
		output_image_tokens = h.output_image_tokens + excluded.output_image_tokens,
		images = h.images + excluded.images,
		audio_ms = h.audio_ms + excluded.audio_ms,
		characters = h.characters + excluded.characters`
)

const (
	secondsAQuarter = 15 * 60
	secondsAnHour   = 60 * 60
	usageSums       = 5 + usageCounts // calls, estimated calls, cost, captured, write-off, and Usage.counts
)

// usagePart is what rollups are by.
type usagePart struct {
	account, key int64
	model        string
	begin        int64 // Unix seconds
}

func (a usagePart) compare(b usagePart) int {
	return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.begin, b.begin), cmp.Compare(a.key, b.key), cmp.Compare(a.model, b.model))
}

// rollup is what calls come to, by parts of one length.
type rollup map[usagePart]*[usageSums]int64

// at is the sum of the part of that length which a moment is in.
func (r rollup) at(part usagePart, seconds int64) *[usageSums]int64 {
	part.begin -= part.begin % seconds
	sum := r[part]
	if sum == nil {
		sum = new([usageSums]int64)
		r[part] = sum
	}
	return sum
}

// sumUsage adds the new calls to the rollups.
func (p *posting) sumUsage(batch *pgx.Batch) {
	hours, quarters := rollup{}, rollup{}
	for _, e := range p.causes {
		if e.kind != kindSettle {
			continue
		}
		u := e.details.usage()
		counts := u.counts()
		sum := quarters.at(usagePart{e.account, e.key, e.details.Model, e.at().Unix()}, secondsAQuarter)
		sum[0]++
		if u.Estimated {
			sum[1]++
		}
		sum[2] += e.captured + e.writeOff
		sum[3] += e.captured
		sum[4] += e.writeOff
		for i, count := range counts {
			sum[5+i] += count
		}
	}
	for part, of := range quarters {
		sum := hours.at(part, secondsAnHour)
		for i, n := range of {
			sum[i] += n
		}
	}
	hours.write(batch, hoursSQL)
	quarters.write(batch, quartersSQL)
}

// write adds the sums to a table, in the order of its index.
func (r rollup) write(batch *pgx.Batch, sql string) {
	n := len(r)
	if n == 0 {
		return
	}
	order := make([]usagePart, 0, n)
	for part := range r {
		order = append(order, part)
	}
	slices.SortFunc(order, usagePart.compare)
	begins, accounts, keys, models := make([]time.Time, n), make([]int64, n), make([]int64, n), make([]string, n)
	var columns [usageSums][]int64
	for i := range columns {
		columns[i] = make([]int64, n)
	}
	for i, part := range order {
		begins[i], accounts[i], keys[i], models[i] = time.Unix(part.begin, 0).UTC(), part.account, part.key, part.model
		for k, sum := range r[part] {
			columns[k][i] = sum
		}
	}
	args := []any{begins, accounts, keys, models}
	for _, column := range columns {
		args = append(args, column)
	}
	batch.Queue(sql, args...)
}
