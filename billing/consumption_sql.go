package billing

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	quarterHour = 15 * time.Minute

	usedHours    = "usage_hourly"
	usedQuarters = "usage_quarters"

	// planOnceSQL has a connection plan a statement once. Otherwise this one would be planned
	// for each question, which takes Postgres longer than to answer most of them. A plan that is
	// kept must be good for tables that have grown since.
	planOnceSQL = `select set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true)`

	quartersBehind = "usage_quarters where account_id = $1 and quarter >= cut.edge and quarter < cut.until"
	callsBehind    = "usage where account_id = $1 and created_at >= cut.edge and created_at < cut.until"
)

// Usage is summed of the largest parts that fit, and each part that an edge cuts is
// corrected by smaller ones: a part counts where it begins, so what of it lies behind the
// edge is moved. Hours are corrected by quarters, quarters by single calls. It is one
// statement, so all are of one moment, and its sum is the ledger's. What has nothing to
// correct is left out.
//
//	$1 account, $2 where the first part begins, $3 the edges, $4 the last one, $5 model, $6 key,
//	$7 by model, $8 by key, $9 most rows, then for each correction the edges that cut and
//	the ends of what they cut
const (
	consumptionBase = `
with piece as (
	select width_bucket(%[2]s, $3::timestamptz[]) - 1 as part, model, key_id, calls, estimated_calls as estimated,
		prompt_tokens as prompt, cached_tokens + cached_input_audio_tokens as cached,
		cache_write_tokens + cache_write_1h_tokens as cache_write, completion_tokens as completion,
		reasoning_tokens as reasoning, images, audio_ms, characters, captured_nano as nano
	from %[1]s
	where account_id = $1 and %[2]s >= $2 and %[2]s < $4` + consumptionFilter

	// "offset 0": one look into the index for each edge, whatever the planner thinks of their number.
	consumptionMoved = `
	union all
	select moved.part, u.model, u.key_id, moved.n * %[3]s, moved.n * %[4]s, moved.n * u.prompt_tokens,
		moved.n * (u.cached_tokens + u.cached_input_audio_tokens), moved.n * (u.cache_write_tokens + u.cache_write_1h_tokens),
		moved.n * u.completion_tokens, moved.n * u.reasoning_tokens, moved.n * u.images, moved.n * u.audio_ms,
		moved.n * u.characters, moved.n * u.captured_nano
	from %[6]s as cut (edge, until)
	cross join lateral (
		select * from %[1]s` + consumptionFilter + ` offset 0
	) u
	cross join lateral (values (width_bucket(u.%[2]s, $3::timestamptz[]) - 1, 1),
		(width_bucket(cut.until - interval '%[5]s', $3::timestamptz[]) - 1, -1)) as moved (part, n)`

	consumptionFilter = ` and ($5::text = '' or model = $5) and ($6::bigint is null or key_id = $6)`

	// What lies before the first edge, and from the last, is summed as well and left out
	// then: left out before, Postgres would expect few rows and sort them all.
	consumptionSums = `
), summed as materialized (
	select part, case when $7 then model else '' end as model, case when $8 then key_id else 0 end as key_id,
		sum(calls)::bigint as calls, sum(estimated)::bigint, sum(prompt)::bigint, sum(cached)::bigint, sum(cache_write)::bigint,
		sum(completion)::bigint, sum(reasoning)::bigint, sum(images)::bigint, sum(audio_ms)::bigint, sum(characters)::bigint,
		sum(nano)::bigint as nano
	from piece group by 1, 2, 3
)
select * from summed where part between 0 and cardinality($3::timestamptz[]) - 2 and calls <> 0
order by part, nano desc, model, key_id limit nullif($9::bigint, 0)`
)

// Consumption sums up what calls came to, by parts and what else is asked for: by time,
// then the dearest first. Edges are any moments. Calls that Postgres has not applied are
// not in it. ErrClosed.
func (l *Ledger) Consumption(ctx context.Context, q ConsumptionQuery) ([]Consumed, error) {
	sql, args := q.statement()
	scan := func(row pgx.CollectableRow) (c Consumed, err error) {
		return c, row.Scan(&c.Part, &c.Model, &c.KeyID, &c.Calls, &c.Estimated, &c.Prompt, &c.Cached, &c.CacheWrite,
			&c.Completion, &c.Reasoning, &c.Images, &c.AudioMS, &c.Characters, &c.Nano)
	}
	var consumed []Consumed
	err := l.reads.Read(ctx, func(ctx context.Context, pool *pgxpool.Pool, _ bool) error {
		batch := &pgx.Batch{} // is a transaction
		batch.Queue(planOnceSQL)
		batch.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
			consumed, err = pgx.CollectRows(rows, scan)
			return err
		})
		return pool.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return nil, databaseError("sum up usage", err)
	}
	return consumed, nil
}

// statement is the question in SQL. Quarters are summed instead of hours where most hours
// are cut, as by the hours of a zone that is half an hour off UTC.
func (q ConsumptionQuery) statement() (sql string, args []any) {
	edges := q.Edges
	if len(edges) == 0 {
		edges = []time.Time{q.From, q.To}
	}
	last := edges[len(edges)-1]
	base, column, unit := usedHours, "hour", time.Hour
	hours, quarters := cutsOf(edges, time.Hour), cutsOf(edges, quarterHour)
	if time.Duration(len(hours.edges))*2*time.Hour > last.Sub(edges[0]) && len(edges) > 2 {
		base, column, unit, hours = usedQuarters, "quarter", quarterHour, cuts{}
	}
	args = []any{q.AccountID, edges[0].Truncate(unit), edges, last, q.Model, q.KeyID, q.ByModel, q.ByKey, q.Most}
	var text strings.Builder
	fmt.Fprintf(&text, consumptionBase, base, column)
	if behind := hours.from(quarterHour); len(behind.edges) > 0 {
		fmt.Fprintf(&text, consumptionMoved, quartersBehind, "quarter", "u.calls", "u.estimated_calls", "1 hour", behind.rows(&args))
	}
	if len(quarters.edges) > 0 {
		fmt.Fprintf(&text, consumptionMoved, callsBehind, "created_at", "1", "u.estimated::integer", "15 minutes", quarters.rows(&args))
	}
	text.WriteString(consumptionSums)
	return text.String(), args
}

// cuts are the parts of a unit of time that edges are inside: the first edge in each, and
// the part's end.
type cuts struct{ edges, ends []time.Time }

func cutsOf(edges []time.Time, unit time.Duration) (c cuts) {
	for _, edge := range edges {
		begin := edge.Truncate(unit)
		if begin.Equal(edge) || len(c.ends) > 0 && c.ends[len(c.ends)-1].Equal(begin.Add(unit)) {
			continue // nothing is cut, or the part was cut before this edge
		}
		c.edges, c.ends = append(c.edges, edge), append(c.ends, begin.Add(unit))
	}
	return c
}

// from are the cuts at the first whole smaller unit behind each edge, where the part has one.
func (c cuts) from(unit time.Duration) (behind cuts) {
	for i, edge := range c.edges {
		at := edge.Truncate(unit)
		if !at.Equal(edge) {
			at = at.Add(unit)
		}
		if at.Before(c.ends[i]) {
			behind.edges, behind.ends = append(behind.edges, at), append(behind.ends, c.ends[i])
		}
	}
	return behind
}

// rows are the cuts as a source of rows, whose values it adds to the arguments. The months
// that a single cut has nothing of are left out before Postgres begins.
func (c cuts) rows(args *[]any) string {
	n := len(*args)
	if len(c.edges) == 1 {
		*args = append(*args, c.edges[0], c.ends[0])
		return fmt.Sprintf("(values ($%d::timestamptz, $%d::timestamptz))", n+1, n+2)
	}
	*args = append(*args, c.edges, c.ends)
	return fmt.Sprintf("unnest($%d::timestamptz[], $%d::timestamptz[])", n+1, n+2)
}
