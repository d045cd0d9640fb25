package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/postgres"
)

// States of a broadcast.
const (
	Running   = "running"
	Paused    = "paused"
	Cancelled = "cancelled"
	Done      = "done"
)

const (
	fillAtOnce   = 2000 // people of the audience put into the outbox in one transaction
	cancelAtOnce = 10_000
	actorMost    = 100 // characters
	shownMost    = 50  // broadcasts listed
)

// Errors of broadcasts, found by errors.Is.
var (
	ErrBroadcastUnknown = errors.New("outbox: no such broadcast")
	ErrBroadcastEnded   = errors.New("outbox: the broadcast has ended")
	ErrBroadcastName    = errors.New("outbox: another broadcast has that name")
)

// Audience is whom a broadcast is for.
type Audience struct {
	Language string    `json:"language,omitempty"` // of their Telegram, variants included; empty: any
	Since    time.Time `json:"since,omitzero"`     // they were active since; zero: whenever
}

// Broadcast is a message to many.
type Broadcast struct {
	ID        int64
	Name      string // says what it is: a second of the name is the first; at most 200 characters
	State     string
	Message   bot.Message // its ChatID is each reader's; without files and ReplyTo
	Audience  Audience
	StartedBy string // for the list; nothing personal
	CreatedAt time.Time
	EndedAt   time.Time // zero: it has not
}

// Progress is how far a broadcast has come.
type Progress struct {
	Broadcast
	Filled    bool // all of its audience is counted
	Total     int64
	Waiting   int64
	Sent      int64
	Blocked   int64 // could not be reached
	Failed    int64 // Telegram did not take it
	Cancelled int64
	Repeated  int64 // may have come more than once, because a server died meanwhile

	ReportChat    int64 // where it is shown; 0: nowhere
	ReportMessage int
	Reported      string // what is shown there
}

// Start begins a broadcast in the given state, Running or Paused; one of the same name,
// message and audience is returned as it is by now. [ErrPost], [ErrBroadcastName].
func (o *Outbox) Start(ctx context.Context, b Broadcast) (started Broadcast, fresh bool, err error) {
	if n := utf8.RuneCountInString(b.Name); n == 0 || n > nameMost || utf8.RuneCountInString(b.StartedBy) > actorMost || b.StartedBy == "" {
		return Broadcast{}, false, ErrPost
	}
	message, err := encode(b.Message)
	if err != nil {
		return Broadcast{}, false, err
	}
	audience, err := json.Marshal(b.Audience)
	if err != nil {
		return Broadcast{}, false, ErrPost
	}
	if b.State != Paused {
		b.State = Running
	}
	tag, err := o.postgres.Exec(ctx, `insert into broadcasts (name, state, message, audience, started_by)
		values ($1, $2, $3, $4, $5) on conflict (name) do nothing`, b.Name, b.State, message, string(audience), b.StartedBy)
	if err != nil {
		return Broadcast{}, false, fmt.Errorf("start a broadcast: %w", err)
	}
	var same bool
	err = o.postgres.QueryRow(ctx, `select id, state, message = $2::jsonb, created_at from broadcasts where name = $1`,
		b.Name, message).Scan(&b.ID, &b.State, &same, &b.CreatedAt)
	if err != nil {
		return Broadcast{}, false, fmt.Errorf("start a broadcast: %w", err)
	}
	if !same {
		return Broadcast{}, false, ErrBroadcastName
	}
	o.nudge()
	return b, tag.RowsAffected() == 1, nil
}

// Set pauses a broadcast that runs, lets one that is paused run, or cancels either.
// Messages that are on their way arrive. [ErrBroadcastUnknown], [ErrBroadcastEnded].
func (o *Outbox) Set(ctx context.Context, id int64, state string) error {
	var was string
	err := o.postgres.QueryRow(ctx, `with was as (select id, state from broadcasts where id = $1 for no key update)
		update broadcasts b set state = case when was.state in ('running', 'paused') then $2 else b.state end
		from was where b.id = was.id returning was.state`, id, state).Scan(&was)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrBroadcastUnknown
	case err != nil:
		return fmt.Errorf("change a broadcast: %w", err)
	case was == state:
		return nil
	case was != Running && was != Paused:
		return ErrBroadcastEnded
	}
	o.nudge()
	return nil
}

// Show says in which message a broadcast's progress is shown.
func (o *Outbox) Show(ctx context.Context, id, chat int64, message int) error {
	_, err := o.postgres.Exec(ctx, `update broadcasts set report_chat = $2, report_message = $3, reported = '' where id = $1`, id, chat, message)
	if err != nil {
		return fmt.Errorf("show a broadcast: %w", err)
	}
	return nil
}

// Shown notes what is shown by now.
func (o *Outbox) Shown(ctx context.Context, id int64, text string) error {
	if _, err := o.postgres.Exec(ctx, `update broadcasts set reported = $2 where id = $1`, id, text); err != nil {
		return fmt.Errorf("note what is shown of a broadcast: %w", err)
	}
	return nil
}

const selectProgress = `
	select b.id, b.name, b.state, b.message, b.audience, b.started_by, b.created_at, coalesce(b.ended_at, 'epoch'), b.filled,
		n.total, n.waiting, n.sent, n.blocked, n.failed, n.cancelled, n.repeated,
		coalesce(b.report_chat, 0), coalesce(b.report_message, 0), b.reported
	from broadcasts b cross join lateral (
		select coalesce(sum(n), 0)::bigint as total,
			coalesce(sum(n) filter (where state = 'waiting'), 0)::bigint as waiting,
			coalesce(sum(n) filter (where state = 'sent'), 0)::bigint as sent,
			coalesce(sum(n) filter (where state = 'blocked'), 0)::bigint as blocked,
			coalesce(sum(n) filter (where state in ('failed', 'expired')), 0)::bigint as failed,
			coalesce(sum(n) filter (where state = 'cancelled'), 0)::bigint as cancelled,
			coalesce(sum(n) filter (where state = 'sent' and claims > 1), 0)::bigint as repeated
		from (select state, claims, count(*) as n from outbox where broadcast_id = b.id group by state, claims) of_state
	) n `

func (o *Outbox) progress(ctx context.Context, where string, args ...any) ([]Progress, error) {
	rows, err := o.postgres.Query(ctx, selectProgress+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read broadcasts: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Progress, err error) {
		var message, audience []byte
		err = row.Scan(&p.ID, &p.Name, &p.State, &message, &audience, &p.StartedBy, &p.CreatedAt, &p.EndedAt, &p.Filled,
			&p.Total, &p.Waiting, &p.Sent, &p.Blocked, &p.Failed, &p.Cancelled, &p.Repeated,
			&p.ReportChat, &p.ReportMessage, &p.Reported)
		if err != nil {
			return p, err
		}
		if p.EndedAt.Unix() == 0 {
			p.EndedAt = time.Time{}
		}
		if p.Message, err = decode(0, message); err != nil {
			return p, err
		}
		return p, json.Unmarshal(audience, &p.Audience)
	})
	if err != nil {
		return nil, fmt.Errorf("read broadcasts: %w", err)
	}
	return list, nil
}

// Progress is how far one has come. [ErrBroadcastUnknown].
func (o *Outbox) Progress(ctx context.Context, id int64) (Progress, error) {
	list, err := o.progress(ctx, `where b.id = $1`, id)
	if err == nil && len(list) == 0 {
		err = ErrBroadcastUnknown
	}
	if err != nil {
		return Progress{}, err
	}
	return list[0], nil
}

// Broadcasts lists the newest, the newest first.
func (o *Outbox) Broadcasts(ctx context.Context) ([]Progress, error) {
	return o.progress(ctx, `order by b.id desc limit $1`, shownMost)
}

// ToShow lists those whose progress is shown and may have changed.
func (o *Outbox) ToShow(ctx context.Context) ([]Progress, error) {
	return o.progress(ctx, `where b.report_chat is not null and (b.ended_at is null or b.ended_at > now() - interval '1 hour') order by b.id limit $1`, shownMost)
}

// Reader is somebody whom a broadcast is for: their chat, and a number that grows from
// one to the next, by which the audience is gone through.
type Reader struct{ Number, Chat int64 }

// Tend puts messages for the audiences of running broadcasts into the outbox, and ends
// broadcasts that have nothing left to do. readers lists at most most of an audience, in
// the order of their numbers, above after. Any number of instances may tend at a time.
func (o *Outbox) Tend(ctx context.Context, readers func(ctx context.Context, a Audience, after int64, most int) ([]Reader, error)) error {
	rows, err := o.postgres.Query(ctx, `select id, audience, filled_to from broadcasts where state = 'running' and not filled order by id`)
	if err != nil {
		return fmt.Errorf("look for broadcasts: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[unfilled])
	if err != nil {
		return fmt.Errorf("look for broadcasts: %w", err)
	}
	for _, b := range list {
		for more := true; more; {
			if more, err = o.fill(ctx, &b, readers); err != nil {
				return err
			}
		}
	}
	return o.end(ctx)
}

type unfilled struct {
	ID       int64
	Audience []byte
	FilledTo int64
}

// fill puts messages for the next readers into the outbox and moves on, in one
// transaction. It ends where another instance is at it.
func (o *Outbox) fill(ctx context.Context, b *unfilled, readers func(context.Context, Audience, int64, int) ([]Reader, error)) (more bool, err error) {
	var audience Audience
	if err := json.Unmarshal(b.Audience, &audience); err != nil {
		return false, fmt.Errorf("outbox: audience of broadcast %d: %w", b.ID, err)
	}
	page, err := readers(ctx, audience, b.FilledTo, fillAtOnce)
	if err != nil {
		return false, err
	}
	to, chats := b.FilledTo, make([]int64, len(page))
	for i, r := range page {
		to, chats[i] = max(to, r.Number), r.Chat
	}
	err = postgres.InTx(ctx, o.postgres, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update broadcasts set filled_to = $3, filled = $4
			where id = $1 and filled_to = $2 and state = 'running' and not filled`, b.ID, b.FilledTo, to, len(page) == 0)
		if err != nil {
			return err
		}
		if more = tag.RowsAffected() == 1 && len(page) > 0; !more {
			return nil
		}
		_, err = tx.Exec(ctx, `insert into outbox (name, broadcast_id, chat_id)
			select 'broadcast:' || $1::bigint || ':' || chat, $1, chat from unnest($2::bigint[]) chat on conflict (name) do nothing`, b.ID, chats)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("fill a broadcast: %w", err)
	}
	b.FilledTo = to
	o.nudge()
	return more, nil
}

// end takes what waits of cancelled broadcasts out of the outbox, and ends those of which
// nothing waits. A message that is on its way at that moment keeps its broadcast open.
// One that nobody let run within a week is cancelled.
func (o *Outbox) end(ctx context.Context) error {
	_, err := o.postgres.Exec(ctx, `update broadcasts set state = 'cancelled'
		where state = 'paused' and filled_to = 0 and created_at < now() - interval '7 days'`)
	if err != nil {
		return fmt.Errorf("end broadcasts: %w", err)
	}
	for gone := int64(cancelAtOnce); gone == cancelAtOnce; {
		tag, err := o.postgres.Exec(ctx, `with left_over as (
				select o.id from broadcasts b join outbox o on o.broadcast_id = b.id
				where b.state = 'cancelled' and b.ended_at is null and o.state = 'waiting' and o.due_at <= now()
				limit $1 for update of o skip locked
			) update outbox o set state = 'cancelled', ended_at = now() from left_over where o.id = left_over.id`, cancelAtOnce)
		if err != nil {
			return fmt.Errorf("end broadcasts: %w", err)
		}
		gone = tag.RowsAffected()
	}
	_, err = o.postgres.Exec(ctx, `update broadcasts b set ended_at = now(), state = case when state = 'running' then 'done' else state end
		where ended_at is null and (state = 'cancelled' or state = 'running' and filled)
			and not exists (select from outbox o where o.broadcast_id = b.id and o.state = 'waiting')`)
	if err != nil {
		return fmt.Errorf("end broadcasts: %w", err)
	}
	return nil
}
