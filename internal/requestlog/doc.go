// Package requestlog keeps what key holders' requests came to, in the table requests:
// who asked for which model, how it ended, how long it took and what it cost. It keeps no
// prompt, no answer, no address and no key.
//
// It stands with the pipes: it knows neither money nor protocols and takes finished rows
// from whoever answers requests, without ever making them wait. What it cannot take is
// dropped and counted, because no book rests on it.
package requestlog
