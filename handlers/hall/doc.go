// Package hall is what all rooms of the bot open onto: a request with its person, their
// account, settings and voice, how often they may ask, and what is kept of them. It knows
// no room.
package hall
