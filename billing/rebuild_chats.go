package billing

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// chatsMost bounds the chats' holds that a shard is rebuilt with: about 200 bytes each.
const chatsMost = 50_000

// A chat's hold is named after the update that asked for the call, and a further one of
// the same update, where an earlier was resolved already, after that and its number.
const tryMark = "."

// HoldOfTry names the hold of a call's further try, the second and so on.
func HoldOfTry(holdID string, try int) string { return holdID + tryMark + strconv.Itoa(try) }

// holdsBefore are the holds of the earlier tries, if it is a further try's.
func holdsBefore(holdID string) (before []string) {
	at := strings.LastIndex(holdID, tryMark)
	if at < 0 {
		return nil
	}
	try, err := strconv.Atoi(holdID[at+1:])
	if err != nil || try < 2 || try > 16 {
		return nil
	}
	before = append(before, holdID[:at])
	for earlier := 2; earlier < try; earlier++ {
		before = append(before, HoldOfTry(holdID[:at], earlier))
	}
	return before
}

// chatHold is a hold that a chat's call was settled under.
type chatHold struct {
	ID        string
	AccountID int64
	KeyID     int64 // of a group's; 0: none
	Captured  int64 // nano-USD
	WriteOff  int64 // nano-USD
	Life      int64 // ms that are left of keepChatHold
}

// restoreChats writes the holds that the chats' calls of the last two days were settled
// under, the newest first, so that an update that comes once more finds its call paid.
// Of an update whose call was settled under a later try the earlier ones were given
// back, and are written so.
func (o *owner) restoreChats(ctx context.Context, ticket string) (int, error) {
	rows, err := o.postgres.Query(ctx, `select hold_id, account_id, key_id, captured_nano, write_off_nano,
			(extract(epoch from created_at + $2::interval - now()) * 1000)::bigint
		from usage where (account_id & 15) = $1 and source = 'telegram' and created_at > now() - $2::interval
		order by created_at desc limit $3`, int64(o.shard), keepChatHold, chatsMost)
	if err != nil {
		return 0, fmt.Errorf("read the shard's chat holds: %w", err)
	}
	defer rows.Close()
	run := o.restoring(ticket, o.scripts.restoreHolds)
	found := 0
	for rows.Next() {
		var h chatHold
		if err := rows.Scan(&h.ID, &h.AccountID, &h.KeyID, &h.Captured, &h.WriteOff, &h.Life); err != nil {
			return 0, fmt.Errorf("read the shard's chat holds: %w", err)
		}
		found++
		if err := run.chat(ctx, h); err != nil {
			return 0, err
		}
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("read the shard's chat holds: %w", err)
	}
	if found == chatsMost {
		o.log.WarnContext(ctx, "more chat holds of the last days than are restored", "most", chatsMost)
	}
	return found, run.flush(ctx)
}

// chat adds a settled hold and those that were given back before it.
func (r *restoring) chat(ctx context.Context, h chatHold) error {
	// Redis dates what it settles: by a clock ahead of Postgres' it has more than its life.
	life := min(max(h.Life, 1), keepChatHold.Milliseconds())
	add := func(id, state string, captured, writeOff int64) error {
		if !ValidHoldID(id) { // what is no name of a hold is nobody's
			return nil
		}
		return r.add(ctx, []string{HoldKey(h.AccountID, id)}, state, captured, h.AccountID, h.KeyID, writeOff, SourceTelegram, life)
	}
	for _, id := range holdsBefore(h.ID) {
		if err := add(id, "r", 0, 0); err != nil {
			return err
		}
	}
	return add(h.ID, "s", h.Captured, h.WriteOff)
}
