// Package ratelimit decides how many requests may pass, exactly: in any trailing
// window of the stated length at most the stated number is admitted, whatever the
// arrival pattern and however many instances ask.
//
// The decision is made inside Redis, on Redis' clock, by the Lua functions of
// [WindowLua]. They are exported as source so that one script can decide
// authentication, limit and hold in a single atomic call; [Window] wraps them as a
// script of their own.
package ratelimit
