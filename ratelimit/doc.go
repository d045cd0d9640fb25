// Package ratelimit decides which calls may pass, exactly: in any trailing window of
// the stated length at most the stated number of units is admitted, whatever the
// arrival pattern and however many instances ask.
//
// A [Limit] is a sliding window (requests, or tokens with a cost that is trued up), a
// token bucket, or a number of calls at a time. All limits of a call are decided
// together: it takes its cost from all of them or from none.
//
// The decision is made inside Redis, on Redis' clock, by the Lua functions of [Lua].
// They are exported as source, so that one script can decide authentication, limits
// and hold in a single atomic call, and answer with a report for [ParseReport].
// [Redis] wraps them as scripts of their own.
package ratelimit
