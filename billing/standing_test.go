package billing

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestBan(t *testing.T) { onBoth(t, testBan) }

func testBan(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	account := r.account(100)
	person := r.person(account)
	want := func(status string) {
		t.Helper()
		if got := client.HGet(ctx, AcctKey(account), AccountFieldStatus).Val(); got != status {
			t.Fatalf("status %q, want %q", got, status)
		}
	}
	for range 2 {
		banned, err := r.desk.Accounts.Ban(ctx, person, Operator("me"))
		r.must(err)
		if banned.ID != account || banned.Status != StatusSuspended {
			t.Fatalf("banned %+v", banned)
		}
		want(StatusSuspended)
	}
	if _, err := r.desk.Holds.Reserve(ctx, reservation(account, "a", 10)); !errors.Is(err, ErrAccountInactive) {
		t.Errorf("a banned account reserved: %v", err)
	}
	if n := r.count(`select count(*) from audit_log where action = 'account.banned'`); n != 1 {
		t.Errorf("%d lines of the audit log", n)
	}
	r.relayAll()
	want(StatusSuspended)
	r.wantDifferences()
	r.must(client.FlushAll(ctx).Err())
	r.rebuilt()
	want(StatusSuspended)
	r.unprojected(func(desk *Desk) {
		if _, err := desk.Accounts.Unban(ctx, person, House); !errors.Is(err, ErrClosed) {
			t.Fatalf("without Redis: %v", err)
		}
	})
	want(StatusSuspended)
	r.relayAll()
	want(StatusActive)
	r.reserve(account, "b", 10)

	// Who has not come yet is kept out, and whose account is closed stays closed.
	early, err := r.desk.Accounts.Ban(ctx, 777_000_001, House)
	r.must(err)
	if opened, _, err := r.desk.Accounts.Open(ctx, Profile{TelegramID: 777_000_001, Name: "E"}); err != nil || opened.ID != early.ID || opened.Status != StatusSuspended {
		t.Errorf("opened %+v, %v", opened, err)
	}
	r.must(r.desk.Accounts.Close(ctx, account, House))
	r.must(r.desk.Tiers.projector.membership(ctx, membership{Account: account, Seq: 1 << 40, Status: StatusActive}))
	want(StatusClosed)
	if _, err := r.desk.Accounts.Ban(ctx, -1, House); !errors.Is(err, ErrAccountUnknown) {
		t.Errorf("banned nobody: %v", err)
	}
}

func TestReach(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	open := func(id int64, language string) int64 {
		t.Helper()
		account, _, err := r.desk.Accounts.Open(ctx, Profile{TelegramID: id, Name: "N", Language: language})
		r.must(err)
		return account.ID
	}
	pt, br, ru := open(1, "pt"), open(2, "pt-BR"), open(3, "ru")
	banned, gone := open(4, "pt"), open(5, "pt")
	_, err := r.desk.Accounts.Ban(ctx, 4, House)
	r.must(err)
	r.must(r.desk.Accounts.Close(ctx, gone, House))
	_, _, err = r.desk.Accounts.Register(ctx, 6, House) // never came
	r.must(err)
	_, err = r.desk.Settings.Change(ctx, open(8, "pt"), func(s *Settings) { s.MuteNews = true })
	r.must(err)
	fr := open(9, "pt")
	_, err = r.desk.Settings.Change(ctx, fr, func(s *Settings) { s.Language = "fr" })
	r.must(err)
	r.credit(ru, 1000, "ru")
	r.spend(ru, "x", 10)
	r.drainAll()
	for name, c := range map[string]struct {
		reach Reach
		want  []int64
	}{
		"all":              {Reach{}, []int64{pt, br, ru, fr}},
		"by choice":        {Reach{Language: "fr"}, []int64{fr}},
		"portuguese":       {Reach{Language: "PT"}, []int64{pt, br}},
		"of brazil":        {Reach{Language: "pt-br"}, []int64{br}},
		"active":           {Reach{Since: time.Now().Add(-time.Hour)}, []int64{ru}},
		"active in future": {Reach{Since: time.Now().Add(48 * time.Hour)}, nil},
		"active, in pt":    {Reach{Language: "pt", Since: time.Now().Add(-time.Hour)}, nil},
	} {
		var got []int64
		for after := int64(0); ; {
			page, err := r.desk.Accounts.Reach(ctx, c.reach, after, 2)
			r.must(err)
			for _, one := range page {
				got, after = append(got, one.AccountID), one.AccountID
			}
			if len(page) == 0 {
				break
			}
		}
		n, err := r.desk.Accounts.CountReach(ctx, c.reach)
		r.must(err)
		if !slices.Equal(got, c.want) || n != int64(len(c.want)) {
			t.Errorf("%s: %v (%d), want %v", name, got, n, c.want)
		}
	}
	for account, change := range map[int64]func(*Settings){
		pt: func(s *Settings) { s.MuteNews = true },
		ru: func(s *Settings) { s.Language = "pt" },
	} {
		_, err := r.desk.Settings.Change(ctx, account, change)
		r.must(err)
	}
	chose, err := r.desk.Accounts.Reach(ctx, Reach{Language: "pt"}, 0, 10)
	r.must(err)
	if len(chose) != 2 || chose[0].AccountID != br || chose[1].AccountID != ru {
		t.Errorf("who chose Portuguese, and not no news: %v", chose)
	}
	census, err := r.desk.Accounts.Census(ctx)
	r.must(err)
	if census.People != 6 || census.Banned != 1 || census.ActiveDay != 1 || census.CallsDay != 1 || census.SpentDay != 10 || census.NewDay != 7 {
		t.Errorf("census %+v (banned %d)", census, banned)
	}
}
