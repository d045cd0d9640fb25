package billing

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Outcomes of a look at a hold's deadline.
const (
	orphanExpired  = "expired"  // settled by its last mark
	orphanReleased = "released" // given back: it had no mark
	orphanEarly    = "early"    // its deadline is yet to come
	orphanGone     = "gone"     // there is no such hold, or it was resolved
)

// holder says whose a hold is, read from its record.
func holder(hold string) (account int64, err error) {
	fields := strings.SplitN(hold, "|", 4)
	if len(fields) == 4 {
		account, err = strconv.ParseInt(fields[2], 10, 64)
	}
	if len(fields) < 4 || err != nil {
		return 0, fmt.Errorf("billing: a hold reads %.20q", hold)
	}
	return account, nil
}

// expireHold resolves a hold if it passed its deadline by Redis' clock. It may be
// repeated, by anyone.
func (s *scripts) expireHold(ctx context.Context, client redis.Scripter, account int64, holdID string) (how string, err error) {
	how, err = s.expire.Run(ctx, client,
		[]string{EpochKey(account), AcctKey(account), HoldKey(account, holdID), ExpKey(account),
			evKey(shardOf(account)), markKey(account, holdID)},
		holdID, account, keepChatHold.Milliseconds()).Text()
	if err != nil {
		return "", redisError("expire a hold", err)
	}
	switch how {
	case orphanExpired, orphanReleased, orphanEarly, orphanGone:
		return how, nil
	}
	return "", resolution(how)
}
