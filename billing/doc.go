// Package billing is all that is money: accounts, API keys, prices, holds, the
// ledger, and the engine that keeps Postgres and Redis in step.
//
// Every amount is an int64 of nano-USD (a dollar is 1,000,000,000). Prices are
// nano-USD per million tokens; products are exact in 128 bits and rounded up
// once.
//
// # Who decides what
//
// Debits are decided in Redis, in scripts, and streamed to Postgres as events:
//
//	Reserve: available → held      no event: nothing left the account
//	Settle:  held → captured       one event, appended before the balances change
//	Release: held → available      no event
//
// Credits, accounts and keys are decided in Postgres and projected to Redis, at
// once by whoever decided and again by a relay.
//
// So at any moment, for each account:
//
//	Redis available + held = Postgres balance − unprojected credits − unapplied events
//
// # Epochs
//
// Each shard has an epoch, a number that Postgres and Redis must agree on. While
// Redis has none, the shard is closed: every script answers so, and callers get
// ErrClosed; a call is never free for want of data. A shard whose epoch is gone,
// or whose stream lost what Postgres has applied, is rebuilt from Postgres and
// opened under the next epoch (see Engine). Calls in flight at that moment lose
// their holds; settling them returns ErrHoldUnknown.
//
// # What is not promised
//
// Redis keeps what it was told in the last second in memory only (appendfsync
// everysec). When it dies, debits of that second are forgotten, in the
// customer's favour; credits, keys and revocations are not.
package billing
