package billing

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kikuai/kikuai/internal/testenv"
)

// Pages put together are the account's transactions, each once, the newest first, and
// its balance is their sum; what is posted meanwhile moves no page.
func TestTransactionsByPage(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.storied()
	r.storied()
	whole, next, err := r.desk.Ledger.Transactions(t.Context(), account, 0, 100)
	if err != nil || next != 0 || len(whole) != 8 {
		t.Fatalf("%d transactions, then %d, %v", len(whole), next, err)
	}
	var kinds []string
	var sum int64
	for i, p := range whole {
		kinds = append(kinds, p.Kind)
		sum += p.Nano()
		if p.Seq != int64(8-i) {
			t.Errorf("number %d is the %dth", p.Seq, i)
		}
	}
	if diff := cmp.Diff([]string{"late", "settle", "refund", "settle", "settle", "settle", "credit", "credit"}, kinds); diff != "" {
		t.Error(diff)
	}
	if sum != 1320 || whole[6].Memo["note"] == "" {
		t.Errorf("sum %d, memo %v", sum, whole[6].Memo)
	}
	var paged []Posted
	for before := int64(0); ; {
		page, next, err := r.desk.Ledger.Transactions(t.Context(), account, before, 3)
		r.must(err)
		paged = append(paged, page...)
		if before = next; next == 0 {
			break
		}
		r.credit(account, 1, "meanwhile")
	}
	if diff := cmp.Diff(whole, paged); diff != "" {
		t.Errorf("page by page:\n%s", diff)
	}
}
