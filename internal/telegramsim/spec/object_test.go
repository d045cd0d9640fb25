package spec

import "testing"

// Every sample follows the types it was made of.
func TestSamplesFollowTheirTypes(t *testing.T) {
	for _, sample := range Samples() {
		if err := CheckObject("Update", sample.JSON); err != nil {
			t.Errorf("%s: %v", sample.Name, err)
		}
	}
}

func TestCheckObject(t *testing.T) {
	for _, test := range []struct{ kind, raw, want string }{
		{"StarAmount", `{"amount":-3}`, ""},
		{"StarAmount", `{"amount":1.5}`, "spec: StarAmount: StarAmount.amount: not Integer"},
		{"StarAmount", `{"stars":5}`, "spec: StarAmount: StarAmount.amount: missing; StarAmount.stars: unknown"},
		{"StarAmount", `[]`, "spec: StarAmount: StarAmount: not StarAmount"},
		{"StarAmount", `{`, "spec: StarAmount: not JSON"},
		{"StarSum", `{}`, "spec: StarSum: the type does not exist"},
		{"StarTransactions", `{"transactions":{}}`, "spec: StarTransactions: StarTransactions.transactions: not an array"},
		{"StarTransactions", `{"transactions":[{"id":"a","amount":1,"date":2,"receiver":{"type":"fragment","withdrawal_state":{"type":"succeeded","date":1}}}]}`,
			"spec: StarTransactions: StarTransactions.transactions.0.receiver.withdrawal_state.url: missing"},
		{"StarTransactions", `{"transactions":[{"id":"a","amount":1,"date":2,"source":{"type":"user","user":{"id":1,"is_bot":false,"first_name":"A"}}}]}`,
			"spec: StarTransactions: StarTransactions.transactions.0.source.transaction_type: missing"},
	} {
		got := ""
		if err := CheckObject(test.kind, []byte(test.raw)); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s %s:\n got %s\nwant %s", test.kind, test.raw, got, test.want)
		}
	}
}
