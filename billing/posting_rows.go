package billing

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/postgres"
)

// Bytes of a row, about.
const (
	transactionRoom = 240
	entryRoom       = 80
	usageRoom       = 420
)

// write writes the new transactions and all their effects. What is a row for each is
// copied, which costs Postgres half of what inserting them does.
func (p *posting) write(ctx context.Context, tx pgx.Tx) error {
	for _, rows := range []*postgres.Rows{p.transactions(), p.entries(), p.usage()} {
		if err := rows.Copy(ctx, tx.Conn()); err != nil {
			return err
		}
	}
	return p.sum(ctx, tx)
}

func (p *posting) transactions() *postgres.Rows {
	rows := postgres.NewRows("ledger_transactions", transactionRoom*len(p.links),
		"id", "kind", "account_id", "account_seq", "reference", "shard", "epoch", "stream_ms", "stream_seq", "hash", "created_at")
	for i := range p.links {
		l := &p.links[i]
		rows.Next()
		rows.Bigint(l.id)
		rows.Text(l.kind)
		rows.Bigint(l.account)
		rows.Bigint(l.seq)
		rows.Text(l.reference)
		rows.Smallint(*l.shard)
		rows.Bigint(*l.epoch)
		rows.Bigint(*l.ms)
		rows.Bigint(*l.ordinal)
		rows.Bytea(l.hash)
		rows.Timestamptz(l.createdAt)
	}
	return rows
}

func (p *posting) entries() *postgres.Rows {
	rows := postgres.NewRows("ledger_entries", 2*entryRoom*len(p.links),
		"transaction_id", "position", "account_id", "book", "amount_nano", "created_at")
	for i := range p.links {
		l := &p.links[i]
		for n, book := range l.books {
			rows.Next()
			rows.Bigint(l.id)
			rows.Smallint(int16(n + 1))
			rows.Bigint(l.account)
			rows.Text(book)
			rows.Bigint(l.amounts[n])
			rows.Timestamptz(l.createdAt)
		}
	}
	return rows
}

func (p *posting) usage() *postgres.Rows {
	rows := postgres.NewRows("usage", usageRoom*len(p.links),
		"transaction_id", "hold_id", "account_id", "key_id", "model", "deployment", "source",
		"cost_nano", "captured_nano", "write_off_nano", "estimated", "duration_ms", "first_token_ms", "created_at",
		"organisation_id", "organisation_day",
		"prompt_tokens", "cached_tokens", "cached_input_audio_tokens", "cache_write_tokens", "cache_write_1h_tokens",
		"input_audio_tokens", "input_image_tokens", "completion_tokens", "reasoning_tokens", "output_audio_tokens",
		"output_image_tokens", "images", "audio_ms", "characters") // as Usage.counts
	for i, e := range p.causes {
		if e.kind != kindSettle {
			continue
		}
		l, u := &p.links[i], e.details.usage()
		rows.Next()
		rows.Bigint(l.id)
		rows.Text(e.hold)
		rows.Bigint(e.account)
		rows.Bigint(e.key)
		rows.Text(e.details.Model)
		rows.Text(e.details.Deployment)
		rows.Text(e.details.Source)
		rows.Bigint(e.captured + e.writeOff)
		rows.Bigint(e.captured)
		rows.Bigint(e.writeOff)
		rows.Boolean(u.Estimated)
		rows.Integer(e.details.Duration)
		rows.Integer(e.details.FirstToken)
		rows.Timestamptz(l.createdAt)
		if e.details.Organisation != 0 {
			rows.Bigint(e.details.Organisation)
			rows.Integer(e.details.OrganisationDay)
		} else {
			rows.Null()
			rows.Null()
		}
		for _, count := range u.counts() {
			rows.Bigint(count)
		}
	}
	return rows
}
