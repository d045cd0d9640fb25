package mutations

// gatewayOwnersBugs are of keys and card payments.
var gatewayOwnersBugs = []mutation{
	{
		bug: "charge a disputed payment back as often as it is told",
		edits: []edit{{"billing/checkout_disputes.go",
			"jsonb_build_object($2::text, $3::bigint)",
			"jsonb_build_object($2::text || clock_timestamp()::text, $3::bigint)"}},
		pkg: "gateway", test: "TestStripeDisputes",
	},
	{
		bug: "charge a dispute that was won",
		edits: []edit{{"billing/checkout_stripe.go",
			"closed && dispute.Status != string(stripe.DisputeStatusLost)",
			"closed && dispute.Status == string(stripe.DisputeStatusNeedsResponse)"}},
		pkg: "gateway", test: "TestStripeDisputes",
	},
	{
		bug: "believe a card event that was signed long ago",
		edits: []edit{{"billing/checkout_stripe.go",
			"Tolerance: stripeTolerance,",
			"IgnoreTolerance: true,"}},
		pkg: "gateway", test: "TestStripeForged",
	},
	{
		bug: "credit a card payment of another amount than was begun",
		edits: []edit{{"billing/checkout_event.go",
			"if e.cents != row.Amount || e.currency != cardCurrency {",
			"if e.currency != cardCurrency {"}},
		pkg: "gateway", test: "TestStripeRefuses",
	},
	{
		bug: "acknowledge a card event before it is durable",
		edits: []edit{{"gateway/topup.go",
			"\tif err != nil {\n\t\treturn err\n\t}\n\treturn c.JSON(map[string]bool{\"received\": true})",
			"\t_ = err\n\treturn c.JSON(map[string]bool{\"received\": true})"}},
		pkg: "gateway", test: "TestStripeWithoutPostgres",
	},
	{
		bug: "know a checkout only once its page is known",
		edits: []edit{{"billing/checkout_event.go",
			"where id = $1 and provider = $2`",
			"where id = $1 and provider = $2 and url <> ''`"}},
		pkg: "gateway", test: "TestStripeTellsBeforeWeKnow",
	},
	{
		bug: "forget a card refund that is told before its payment",
		edits: []edit{{"billing/checkout_event.go",
			"\t\t_, err = refunded(ctx, tx, e.payment, told)\n",
			"\t\t_, err = refunded(ctx, tx, e.payment, told-told)\n"}},
		pkg: "gateway", test: "TestStripeRefunds",
	},
	{
		bug: "take all that was given back for every part of it",
		edits: []edit{{"billing/refund.go",
			"share(credit, told, amount) - share(credit, before, amount)",
			"share(credit, told, amount)"}},
		pkg: "gateway", test: "TestStripeRefunds",
	},
	{
		bug: "begin another payment under the same idempotency key",
		edits: []edit{{"billing/checkout.go",
			"if err == nil && string(before) != string(hash[:]) {",
			"if err == nil && len(before) != len(hash) {"}},
		pkg: "gateway", test: "TestTopUpCard",
	},
	{
		bug: "ask the card provider for a page at every attempt",
		edits: []edit{{"billing/checkout_stripe.go",
			"stripe.String(o.checkout + \"-\" + strconv.Itoa(o.attempt))",
			"stripe.String(o.checkout + strconv.FormatInt(time.Now().UnixNano(), 10))"}},
		pkg: "gateway", test: "TestTopUpOnceAtOnce",
	},
	{
		bug: "count a payment that was begun before as another top-up",
		edits: []edit{{"billing/checkout.go",
			"\tif err != nil || known {\n",
			"\tif err != nil {\n"}},
		pkg: "gateway", test: "TestTopUpsOfAnHour",
	},
	{
		bug:   "let a key be used past its end",
		edits: []edit{{"billing/scripts/restrictions.lua", "expires ~= '0' and now >=", "expires ~= '0' and now / 2 >="}},
		pkg:   "gateway", test: "TestKeyExpires",
	},
	{
		bug:   "let a key be used from anywhere",
		edits: []edit{{"billing/scripts/restrictions.lua", "if not inside then", "if not inside and address == '' then"}},
		pkg:   "gateway", test: "TestKeyAddresses",
	},
	{
		bug:   "believe whoever says to come from an address",
		edits: []edit{{"gateway/address.go", "s.proxies != nil && s.proxies.Contains(peer)", "s.proxies != nil"}},
		pkg:   "gateway", test: "TestKeyAddressForged",
	},
	{
		bug:   "hold the network of an address against a key's",
		edits: []edit{{"gateway/auth.go", "key.From = s.sender(c)", "key.From = s.clientAddress(c)"}},
		pkg:   "gateway", test: "TestKeyAddressForged",
	},
	{
		bug:   "let a key call any model",
		edits: []edit{{"billing/scripts/restrictions.lua", "if not named then", "if not named and model == '' then"}},
		pkg:   "gateway", test: "TestKeyModels",
	},
	{
		bug:   "take a restricted key's call for the common one",
		edits: []edit{{"gateway/scripts/plain.lua", "if pass.restricted or acct[5]", "if acct[5]"}},
		pkg:   "gateway", test: "TestKeyRefusesWhole",
	},
	{
		bug:   "count what a restricted key is refused",
		edits: []edit{{"gateway/scripts/admit.lua", "  if refusal then return outcome(refusal, at, '0', pass) end\n", "  if refusal then\n    redis.call('SET', pass.base, '1')\n    return outcome(refusal, at, '0', pass)\n  end\n"}},
		pkg:   "gateway", test: "TestKeyRefusesWhole",
	},
	{
		bug:   "give a kept answer to a key that is not for its model",
		edits: []edit{{"gateway/answers.go", "s.visitWith(c, key, request.Model)", "s.visitWith(c, key, \"\")"}},
		pkg:   "gateway", test: "TestKeyModelsOfKeptAnswers",
	},
	{
		bug:   "fall back to a model that the key is not for",
		edits: []edit{{"gateway/meter.go", "id: c.LimitID, model: o.ID}", "id: c.LimitID, model: c.Request.Model}"}},
		pkg:   "gateway", test: "TestKeyModelsOfFallbacks",
	},
	{
		bug:   "let a restricted key manage keys",
		edits: []edit{{"gateway/account.go", "return key.MayManage(), nil", "return true, nil"}},
		pkg:   "gateway", test: "TestRestrictedKeyManagesNone",
	},
	{
		bug: "change another account's key",
		edits: []edit{{"billing/keychange.go",
			"findKeys(ctx, tx, `id = $1 and account_id = $2 and", "findKeys(ctx, tx, `id = $1 and $2::bigint > 0 and"}},
		pkg: "gateway", test: "TestManageKeysOfOthers",
	},
	{
		bug:   "make a key as often as its wish is sent",
		edits: []edit{{"billing/keys.go", "made = errors.Is(err, ErrKeyUnknown); !made", "made = err == nil || errors.Is(err, ErrKeyUnknown); !made"}},
		pkg:   "gateway", test: "TestManageKeysOnce",
	},
}
