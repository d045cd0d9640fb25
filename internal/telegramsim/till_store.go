package telegramsim

import (
	"cmp"
	"maps"
	"slices"
)

// savedTill is the till in the data file. Checkouts that wait for the bot are not kept: their ten seconds pass.
type savedTill struct {
	Bills         []savedBill       `json:"bills,omitempty"`
	Links         []savedLink       `json:"links,omitempty"` // oldest first
	Wallets       map[int64]int64   `json:"wallets,omitempty"`
	Payments      []Payment         `json:"payments,omitempty"`
	Subscriptions []Subscription    `json:"subscriptions,omitempty"`
	Transactions  []StarTransaction `json:"transactions,omitempty"`
	Balance       int64             `json:"balance,omitempty"`
}

type savedBill struct {
	Chat    int64 `json:"chat"`
	Message int64 `json:"message"`
	Bill    Bill  `json:"bill"`
}

type savedLink struct {
	Slug string `json:"slug"`
	Bill Bill   `json:"bill"`
}

// save copies the till; the caller holds the world's lock.
func (t *till) save() savedTill {
	d := savedTill{
		Wallets: maps.Clone(t.wallets), Payments: t.paymentsOf(0), Subscriptions: t.subscriptionsOf(0),
		Transactions: slices.Clone(t.transactions), Balance: t.balance,
	}
	for key, b := range t.bills {
		d.Bills = append(d.Bills, savedBill{Chat: key.chat, Message: key.message, Bill: *b})
	}
	slices.SortFunc(d.Bills, func(a, b savedBill) int {
		return cmp.Or(cmp.Compare(a.Chat, b.Chat), cmp.Compare(a.Message, b.Message))
	})
	for _, slug := range t.slugs {
		d.Links = append(d.Links, savedLink{Slug: slug, Bill: *t.links[slug]})
	}
	return d
}

// load fills an empty till.
func (t *till) load(d savedTill) {
	for _, sb := range d.Bills {
		t.bills[billKey{sb.Chat, sb.Message}] = &sb.Bill
	}
	for _, sl := range d.Links {
		t.links[sl.Slug] = &sl.Bill
		t.slugs = append(t.slugs, sl.Slug)
	}
	maps.Copy(t.wallets, d.Wallets)
	for _, p := range d.Payments {
		t.payments = append(t.payments, &p)
		t.charges[p.Charge] = &p
	}
	for _, sub := range d.Subscriptions {
		t.subscriptions[sub.ID] = &sub
	}
	t.transactions, t.balance = d.Transactions, d.Balance
}
