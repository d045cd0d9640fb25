// Package handlers is what the bot does with an update: one file per command or
// conversation. It turns what the engines return into sentences a person can use,
// and tells the dispatcher which failures are worth another try.
package handlers
