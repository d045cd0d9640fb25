package billing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// GroupSpending is what an account paid for what a group asked.
type GroupSpending struct {
	Title string // the group's, when it was last offered
	Nano  int64  // what was taken from the balance
}

// GroupSpending sums up what an account paid for groups from one moment to another, the
// dearest first; those that cost nothing are left out. ErrClosed.
func (l *Ledger) GroupSpending(ctx context.Context, accountID int64, from, to time.Time) ([]GroupSpending, error) {
	type payer struct {
		KeyID, ChatID int64
		Title         string
	}
	payers, err := readRows(ctx, l.reads, nil, pgx.RowToStructByPos[payer],
		`select id, chat_id, name from api_keys where account_id = $1 and chat_id is not null`, accountID)
	if err != nil {
		return nil, databaseError("read who pays for groups", err)
	}
	if len(payers) == 0 {
		return nil, nil
	}
	used, err := l.Consumption(ctx, ConsumptionQuery{UsageFilter: UsageFilter{AccountID: accountID, From: from, To: to}, ByKey: true})
	if err != nil {
		return nil, fmt.Errorf("sum up what groups cost: %w", err)
	}
	paid := map[int64]int64{} // by key
	for _, u := range used {
		paid[u.KeyID] = u.Nano
	}
	group := func(p payer) payer { return payer{ChatID: p.ChatID, Title: p.Title} } // may have had several keys
	sums := map[payer]int64{}
	for _, p := range payers {
		sums[group(p)] += paid[p.KeyID]
	}
	var spent []GroupSpending
	for p, nano := range sums {
		if nano > 0 {
			spent = append(spent, GroupSpending{Title: p.Title, Nano: nano})
		}
	}
	slices.SortFunc(spent, func(a, b GroupSpending) int {
		return cmp.Or(cmp.Compare(b.Nano, a.Nano), cmp.Compare(a.Title, b.Title))
	})
	return spent, nil
}
