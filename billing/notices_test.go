package billing

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

func TestNoticesAreToldOnce(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(0)
	write := func(n Notice) {
		t.Helper()
		r.must(postgres.InTx(t.Context(), r.pool, func(tx pgx.Tx) error { return notice(t.Context(), tx, n) }))
	}
	low := Notice{AccountID: account, Kind: NoticeLowBalance, UniqueKey: "low:1", Details: LowBalance{BalanceNano: 5, ThresholdNano: 9}}
	write(low)
	write(low)
	write(Notice{AccountID: account, Kind: NoticeRefunded})
	write(Notice{AccountID: account, Kind: NoticeRefunded})

	claim := func(limit int) []DueNotice {
		t.Helper()
		due, err := r.desk.Notices.Claim(t.Context(), limit)
		r.must(err)
		return due
	}
	first := claim(1)
	if len(first) != 1 || first[0].Kind != NoticeLowBalance || first[0].AccountID != account || first[0].TelegramID == 0 {
		t.Fatalf("claimed %+v", first)
	}
	var details LowBalance
	if err := json.Unmarshal(first[0].Details, &details); err != nil || details.BalanceNano != 5 || details.ThresholdNano != 9 {
		t.Errorf("details %s: %v", first[0].Details, err)
	}
	if one, err := r.desk.Notices.ClaimOne(t.Context(), "low:1"); err != nil || len(one) != 0 {
		t.Errorf("claimed by another too: %+v, %v", one, err)
	}
	if rest := claim(10); len(rest) != 2 {
		t.Errorf("the rest: %+v", rest)
	}
	r.must(r.desk.Notices.Later(t.Context(), first[0].ID, 0)) // it did not work
	if one, err := r.desk.Notices.ClaimOne(t.Context(), "low:1"); err != nil || len(one) != 1 {
		t.Errorf("put off: %+v, %v", one, err)
	}
	r.must(r.desk.Notices.Sent(t.Context(), first[0].ID))
	r.must(r.desk.Notices.Later(t.Context(), first[0].ID, -time.Hour))
	_, err := r.pool.Exec(t.Context(), `update notices set due_at = now() - interval '1 minute'`)
	r.must(err)
	if again := claim(10); len(again) != 2 {
		t.Errorf("after the sender died: %+v", again)
	}
}
