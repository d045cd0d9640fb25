// Package webapp is what the Mini App needs of the server: the sessions of those who
// open it in Telegram, the connection on which they hear of their money at once, and the
// files that it is made of.
//
// # Who it is
//
// Telegram signs what it says to a Mini App about the person who opened it (initData).
// [Sessions] checks that in full and gives a token for it that is good for some minutes.
// A token is sealed, not kept: any instance can read it, and none has to remember it. It
// says whose it is and nothing about what they may do; that is asked where money is.
//
// # What is new
//
// [Live] tells a connection what its account's ledger has that the connection has not
// heard of. The ledger numbers an account's transactions without gaps, so a place in it
// is all that a client needs to come back to: what it missed is read from there like
// what is new. Word from Redis that there is something to read is only that. Lost, it
// costs time and nothing else, since all that is watched is looked at now and then.
package webapp
