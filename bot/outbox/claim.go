package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/bot"
)

// What becomes of a message.
const (
	stateSent    = "sent"
	stateBlocked = "blocked" // the chat cannot be reached
	stateFailed  = "failed"  // Telegram does not take it
	stateExpired = "expired"
	stateWaiting = "waiting" // put off
)

// claimed is a message that a courier has for itself until the claim runs out.
type claimed struct {
	id        int64
	broadcast int64 // 0: of none
	claims    int   // this one included
	expired   bool
	message   bot.Message
	fault     error // the message cannot be read
}

// A notice waits for those before it in its chat, so that a chat's stay in order, though
// couriers work side by side.
const claimNotices = `
	with due as (
		select id from outbox o where state = 'waiting' and broadcast_id is null and due_at <= now()
			and not exists (select from outbox e where e.state = 'waiting' and e.broadcast_id is null
				and e.chat_id = o.chat_id and e.id < o.id)
		order by due_at, id limit $1 for update skip locked
	)
	update outbox o set due_at = now() + $2::interval, claims = claims + 1 from due where o.id = due.id
	returning o.id, 0::bigint, o.claims, coalesce(o.expires_at <= now(), false), o.chat_id, o.message, o.file_name, o.file`

const claimBroadcasts = `
	with due as (
		select o.id from broadcasts b cross join lateral (
			select id from outbox where broadcast_id = b.id and state = 'waiting' and due_at <= now()
			order by due_at, id limit $1 for update skip locked
		) o where b.state = 'running' order by b.id limit $1
	)
	update outbox o set due_at = now() + $2::interval, claims = claims + 1
	from due, broadcasts b where o.id = due.id and b.id = o.broadcast_id
	returning o.id, o.broadcast_id, o.claims, coalesce(o.expires_at <= now(), false), o.chat_id, b.message, null::text, null::bytea`

// claim takes at most n messages that are due, notices first: for so long nobody else is
// given them.
func (o *Outbox) claim(ctx context.Context, n int, hold time.Duration) ([]claimed, error) {
	var all []claimed
	for _, query := range []string{claimNotices, claimBroadcasts} {
		if n -= len(all); n <= 0 {
			break
		}
		rows, err := o.postgres.Query(ctx, query, n, hold)
		if err != nil {
			return all, fmt.Errorf("claim messages: %w", err)
		}
		some, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c claimed, err error) {
			var chat int64
			var message, file []byte
			var fileName *string
			if err = row.Scan(&c.id, &c.broadcast, &c.claims, &c.expired, &chat, &message, &fileName, &file); err == nil {
				c.message, c.fault = withFile(chat, message, fileName, file)
			}
			return c, err
		})
		if err != nil {
			return all, fmt.Errorf("claim messages: %w", err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// Waiting counts the messages that are yet to be sent, those of paused broadcasts too.
func (o *Outbox) Waiting(ctx context.Context) (n int64, err error) {
	if err = o.postgres.QueryRow(ctx, `select count(*) from outbox where state = 'waiting'`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count waiting messages: %w", err)
	}
	return n, nil
}

// outcome is what became of a claimed message.
type outcome struct {
	id     int64
	claims int
	state  string
	wait   time.Duration // of one put off
}

// note writes down what became of messages. One that was put off is as if it had not
// been claimed; where its claim ran out meanwhile, who has it now decides.
func (o *Outbox) note(ctx context.Context, outcomes []outcome) error {
	ids, claims := make([]int64, len(outcomes)), make([]int, len(outcomes))
	states, waits := make([]string, len(outcomes)), make([]time.Duration, len(outcomes))
	for i, one := range outcomes {
		ids[i], claims[i], states[i], waits[i] = one.id, one.claims, one.state, one.wait
	}
	_, err := o.postgres.Exec(ctx, `
		update outbox o set state = r.state,
			ended_at = case when r.state = 'waiting' then null else now() end,
			message = case when r.state = 'waiting' then o.message end,
			file_name = case when r.state = 'waiting' then o.file_name end,
			file = case when r.state = 'waiting' then o.file end,
			due_at = case when r.state = 'waiting' then now() + r.wait else o.due_at end,
			claims = case when r.state = 'waiting' then o.claims - 1 else o.claims end
		from unnest($1::bigint[], $2::integer[], $3::text[], $4::interval[]) as r (id, claims, state, wait)
		where o.id = r.id and o.state = 'waiting' and (r.state <> 'waiting' or o.claims = r.claims)`,
		ids, claims, states, waits)
	if err != nil {
		return fmt.Errorf("note what became of messages: %w", err)
	}
	return nil
}

// forgetAtOnce bounds one statement's deletions.
const forgetAtOnce = 10_000

// Forget deletes what ended longer ago than keep: names can be used again then, and a
// broadcast is gone with the last of its messages. It may be repeated, and interrupted
// at any time.
func (o *Outbox) Forget(ctx context.Context, keep time.Duration) error {
	for gone := int64(forgetAtOnce); gone == forgetAtOnce; {
		tag, err := o.postgres.Exec(ctx, `with old as (
				select id from outbox where state <> 'waiting' and ended_at < now() - $1::interval order by ended_at limit $2
			) delete from outbox o using old where o.id = old.id`, keep, forgetAtOnce)
		if err != nil {
			return fmt.Errorf("forget old messages: %w", err)
		}
		gone = tag.RowsAffected()
	}
	_, err := o.postgres.Exec(ctx, `delete from broadcasts b where ended_at < now() - $1::interval
		and not exists (select from outbox o where o.broadcast_id = b.id)`, keep)
	if err != nil {
		return fmt.Errorf("forget old broadcasts: %w", err)
	}
	return nil
}
