package main

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/outbox"
)

// plainWords are what an operator reads in place of an error of the program's own.
var plainWords = []struct {
	err  error
	says string
}{
	{billing.ErrAccountUnknown, "there is no such account: admin user opens one for a person who has none"},
	{billing.ErrKeyUnknown, "there is no such API key: admin key list shows those of a person"},
	{billing.ErrKeyMalformed, "that is no API key: one begins with kk_ and is to be copied whole, or named by --key-id"},
	{billing.ErrChargeUnknown, "there is no payment of that id: /paysupport shows people those of theirs"},
	{billing.ErrIdempotencyConflict, "the --idempotency-key was used for something else: choose another, or repeat the command just as it was"},
	{billing.ErrClosed, "a store is away, or no server has opened the account's shard yet"},
	{bot.ErrNotReplayable, "there is no such dead letter, or it has no form of an update: admin dead-letters list shows those there are"},
	{outbox.ErrBroadcastUnknown, "there is no such broadcast: admin broadcast list shows those there are"},
	{outbox.ErrBroadcastEnded, "the broadcast has ended, and cannot be changed any more"},
}

// oneLine is what is wrong, each line of it once: a driver tells each address that it tried,
// and some of them twice.
func oneLine(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}

// packageName is what errors of this program's packages begin with.
var packageName = regexp.MustCompile(`(?m)(^|: )(?:billing|bot|outbox): `)

// plainly is an error as an operator reads it: where it means something to them in their
// words, and without the names of packages.
func plainly(err error) string {
	text := err.Error()
	if connect := (*pgconn.ConnectError)(nil); errors.As(err, &connect) || strings.Contains(text, "reach the database: ") {
		text = "DATABASE_URL: " + oneLine(err)
	}
	for _, w := range plainWords {
		if errors.Is(err, w.err) {
			text = strings.ReplaceAll(text, w.err.Error(), w.says)
		}
	}
	return packageName.ReplaceAllString(text, "$1")
}
