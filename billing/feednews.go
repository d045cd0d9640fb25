package billing

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// FeedChannel is where it is told, with Redis' pub/sub, which accounts have something new.
// Nothing depends on its being heard: all that it tells of is in Postgres.
const FeedChannel = "feed"

const announceIn = 500 * time.Millisecond

// NewsKind is what is new about an account.
type NewsKind byte

// The kinds of news.
const (
	NewsLedger   NewsKind = 'l' // there are transactions
	NewsKey      NewsKind = 'k' // a key was made, changed or revoked
	NewsSettings NewsKind = 's'
	NewsStanding NewsKind = 'a' // what the account may has changed
)

// What may become of a key.
const (
	KeyCreated = "created"
	KeyChanged = "changed"
	KeyRevoked = "revoked"
)

// News is word of something new about an account.
type News struct {
	Kind      NewsKind
	AccountID int64
	KeyID     int64  // NewsKey
	Change    string // NewsKey: KeyCreated, KeyChanged or KeyRevoked
}

// ParseNews reads what is told on FeedChannel. What is not understood is left out: it is
// of a newer version, or nobody's.
func ParseNews(text string) []News {
	if text == "" {
		return nil
	}
	kind, rest := NewsKind(text[0]), text[1:]
	var news []News
	switch kind {
	case NewsKey:
		parts := strings.Split(rest, ":")
		if len(parts) != 3 {
			return nil
		}
		account, key, err := twoInts(parts[0], parts[1])
		if err != nil || !slices.Contains([]string{KeyCreated, KeyChanged, KeyRevoked}, parts[2]) {
			return nil
		}
		news = append(news, News{Kind: kind, AccountID: account, KeyID: key, Change: parts[2]})
	case NewsLedger, NewsSettings, NewsStanding:
		for digits := range strings.SplitSeq(rest, ",") {
			if account, err := strconv.ParseInt(digits, 10, 64); err == nil {
				news = append(news, News{Kind: kind, AccountID: account})
			}
		}
	}
	return news
}

// ledgerNews is the word that the events' accounts have new transactions.
func ledgerNews(events []event) string {
	seen := make(map[int64]struct{}, len(events))
	text := make([]byte, 1, 1+8*len(events))
	text[0] = byte(NewsLedger)
	for i := range events {
		account := events[i].account
		if _, twice := seen[account]; twice {
			continue
		}
		seen[account] = struct{}{}
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, account, 10)
	}
	return string(text)
}

func newsOf(kind NewsKind, account int64) string {
	return string(rune(kind)) + strconv.FormatInt(account, 10)
}

func keyNews(account, key int64, change string) string {
	return newsOf(NewsKey, account) + ":" + strconv.FormatInt(key, 10) + ":" + change
}

// announce tells those who listen, as well as it can.
func announce(ctx context.Context, r redis.Cmdable, news string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceIn)
	defer cancel()
	_ = r.Publish(ctx, FeedChannel, news).Err() // who listens looks for themselves, too
}
