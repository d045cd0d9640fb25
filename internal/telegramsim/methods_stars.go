package telegramsim

import "strings"

// answerPreCheckoutQuery lets a payment through or refuses it; each query is answered once, and in time.
func answerPreCheckoutQuery(s *Server, c *call) (any, *RefusalError) {
	ok, reason := c.params.Bool("ok"), c.params["error_message"]
	switch {
	case ok:
		reason = "" // TDLib sends an error only
	case reason == "":
		return nil, badRequest(`parameter "error_message" is required`)
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	q := w.till.checkouts[strings.TrimSpace(c.params["pre_checkout_query_id"])]
	if q == nil {
		return nil, badRequest(saidQueryTooOld)
	}
	c.chat = q.user.ID
	s.answerCheckout(q, reason)
	return true, nil
}

// charged finds the payment of a call that names a person and a charge.
func (s *Server) charged(c *call) (*Payment, *RefusalError) {
	user, _ := c.params.Int("user_id")
	if user <= 0 {
		return nil, badRequest("invalid user_id specified")
	}
	if s.world.users[user].ID == 0 {
		return nil, badRequest("USER_ID_INVALID")
	}
	c.chat = user
	p := s.world.till.charges[c.params["telegram_payment_charge_id"]]
	if p == nil || p.User != user {
		return nil, nil
	}
	return p, nil
}

// refundStarPayment (https://core.telegram.org/method/payments.refundStarsCharge).
func refundStarPayment(s *Server, c *call) (any, *RefusalError) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if user, _ := c.params.Int("user_id"); user > 0 && c.params["telegram_payment_charge_id"] == "" {
		return nil, badRequest(`parameter "telegram_payment_charge_id" is required`)
	}
	p, refusal := s.charged(c)
	switch {
	case refusal != nil:
		return nil, refusal
	case p == nil:
		return nil, badRequest("CHARGE_NOT_FOUND")
	case p.Refunded != 0:
		return nil, badRequest("CHARGE_ALREADY_REFUNDED")
	}
	s.giveBack(p)
	return true, nil
}

// editUserStarSubscription (https://core.telegram.org/method/payments.botCancelStarsSubscription): the charge is
// the first payment's. What the bot cancels the person cannot take up again until the bot allows it.
func editUserStarSubscription(s *Server, c *call) (any, *RefusalError) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	p, refusal := s.charged(c)
	if refusal != nil {
		return nil, refusal
	}
	if p == nil || w.till.subscriptions[p.Charge] == nil {
		return nil, badRequest("CHARGE_ID_INVALID")
	}
	sub := w.till.subscriptions[p.Charge]
	sub.CanceledByBot = c.params.Bool("is_canceled")
	w.dirty = true
	s.tellSubscription(sub)
	return true, nil
}

// getStarTransactions pages through all transactions, oldest first.
func getStarTransactions(s *Server, c *call) (any, *RefusalError) {
	offset, _ := c.params.Int("offset")
	limit, ok := c.params.Int("limit")
	if !ok {
		limit = maxTransactions
	}
	limit = min(max(limit, 1), maxTransactions) // Client.cpp: get_integer_arg brings it into its range
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.till.transactions
	from := min(max(offset, 0), int64(len(all)))
	to := min(from+limit, int64(len(all)))
	return map[string]any{"transactions": append([]StarTransaction{}, all[from:to]...)}, nil
}

func getMyStarBalance(s *Server, _ *call) (any, *RefusalError) {
	return map[string]int64{"amount": s.BotStars()}, nil
}
