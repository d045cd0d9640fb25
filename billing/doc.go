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
// once by whoever decided and again by a relay. So are refunds, and the cost of calls
// whose holds Redis lost: rows of the table debits, which the shard's owner has Redis
// take, once each, and which come back as events.
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
// or whose stream lost what Postgres has applied, or that lost an account's hash, is
// rebuilt from Postgres and opened under the next epoch (see Engine). Calls in flight
// at that moment lose their holds; their cost is recorded when they are settled.
//
// # Orphans
//
// A hold lives for a minute by Redis' clock. The process that makes the call gives it
// another life in time, and notes with it what the call has come to (Checkpoint).
// When that process dies, the hold passes its deadline, and the shard's owner settles
// it by the last note, or gives it back where there is none.
//
// A call that outlives its hold all the same is not taken again: what it cost beyond
// that is written off, once.
//
// # Budgets
//
// What an account, or a key, may spend in a day and a month (UTC, by Redis' clock) is
// decided in the script that holds: a hold counts as spent, and its settlement gives
// the rest back to the day and month it was counted in. The counters live in the
// account's hash, begin with what the ledger knows, and come back from it with a
// rebuild.
//
// # Groups
//
// An account pays for a group's questions with a key that nobody can present, since what
// it is made of has not the form of one. Its budget of a day is the cap, so the cap holds
// wherever a budget does, and what ends keys ends the paying: a revocation, and the end of
// the account.
//
// # Tiers and organisations
//
// What may be done with a key, an account or an organisation is told here and decided by
// whoever composes a script with it: Limits, packed, in a key's record; in a tier, which
// accounts have by its name and every shard has a copy of; in an organisation's hash, on
// the shard of its own id. Every change is told at once by whoever makes it, and again by
// the shard's owner; of two words the later one stands.
//
// An organisation's budget is not on the shards of its accounts, so that it and an
// account's hold cannot be decided together. A call claims first, then holds, and its end
// resolves both (OrganisationLua says how). Whatever dies in between leaves a claim, which
// counts until the owner of the organisation's shard knows what the hold came to: from the
// hold, from the ledger, or from there being neither, for sure. So the budget is never
// exceeded, and what is counted may for a while be more than what was spent, never less,
// but for what Redis itself forgets; the ledger, which has each call's organisation and
// day, raises that again.
//
// # Gifts and invitations
//
// A gift leaves its giver's balance by an event, as a call does: all of it or nothing, once
// for each wish. The event takes it into the book of gifts; what the ledger has not is no
// gift, whatever link was shown, so nothing that Redis loses becomes money. From that book
// it is credited once, under the gift's name, to the first who has its code, or back to
// its giver after GiftLife. Givers who leave leave their gifts standing; what comes back
// to a closed account is forfeited with the rest.
//
// An invitation is written down in the transaction in which somebody first comes, and
// settled in that of their first payment that is large enough, with a credit for each
// side. That transaction locks the invitation and then both accounts by their ids, as a
// batch of events does, so neither waits for the other for ever.
//
// # Back-pressure
//
// While Postgres is away events gather in Redis and calls go on, until a shard's
// backlog is too old or too long (Backlog); then none is begun there until the ledger
// has caught up.
//
// # What is not promised
//
// Redis keeps what it was told in the last second in memory only (appendfsync
// everysec). When it dies, debits of that second are forgotten, in the
// customer's favour; credits, keys and revocations are not.
package billing
