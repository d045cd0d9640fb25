package main

import (
	"context"
	"net/http"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kikuai/kikuai/internal/redisinfo"
)

// diskFull makes every write of the site's Redis to its file fail, or lets them succeed
// again: a bound on the size of files does to a process what a full disk does.
func (s *site) diskFull(full bool) {
	s.t.Helper()
	info, err := s.redis.Client().Info(s.t.Context(), "server").Result()
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "process_id:")
	pid, err := strconv.Atoi(rest[:strings.IndexAny(rest, "\r\n")])
	if err != nil {
		s.t.Fatal(err)
	}
	limit := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if full {
		limit.Cur = 1
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		s.t.Fatal(err)
	}
}

// TestE2EFullDisks: a Redis that cannot write to its disk refuses, and so do we, with a
// word of when to come back; a Postgres that cannot holds up nothing that is paid from
// the balance. When there is room again all goes on, and the books balance.
func TestE2EFullDisks(t *testing.T) {
	t.Parallel()
	signal.Ignore(syscall.SIGXFSZ) // Redis inherits it, and is told instead of killed
	s := newSite(t)
	onDisk(s)
	serve := s.serve()
	s.arrange("webhook", "set")
	key := s.key(personID, "1")
	if status, _, body := s.paid(key); status != http.StatusOK {
		t.Fatalf("before: %d %s", status, body)
	}

	s.diskFull(true)
	s.until(30*time.Second, "refused", func() bool {
		status, retryAfter, _ := s.paid(key)
		return status == http.StatusServiceUnavailable && retryAfter != ""
	})
	servers, err := redisinfo.Read(t.Context(), s.redis.Client())
	if err != nil || servers[0].Writes == "" {
		t.Errorf("Redis does not say that its disk is full: %+v, %v", servers, err)
	}
	s.until(30*time.Second, "found by the doctor", func() bool {
		return s.examined("redis.persistence")["redis.persistence"] == "fault"
	})
	person := s.telegram.User(personID, "Ada").ID
	if _, err := s.telegram.StartBot(person, ""); err != nil { // Telegram keeps what is not taken
		t.Fatal(err)
	}
	if status, body := s.get("/health", ""); status != http.StatusOK {
		t.Errorf("/health: %d %s", status, body)
	}
	s.diskFull(false)
	s.until(time.Minute, "answered again", func() bool {
		status, _, _ := s.paid(key)
		return status == http.StatusOK
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.telegram.WaitSent(ctx, person, said(`Hello, Ada`)); err != nil {
		t.Errorf("what Telegram kept was not answered: %v", err)
	}

	s.booksFull(true)
	if status, _, body := s.paid(key); status != http.StatusOK {
		t.Errorf("a paid call while Postgres has no room: %d %s", status, body)
	}
	if status, code, text := s.call(http.MethodPost, "/api/v1/keys", key, `{"name":"second"}`, "Content-Type", "application/json"); status != http.StatusServiceUnavailable {
		t.Errorf("a key while Postgres has no room: %d %s %s", status, code, text)
	}
	s.booksFull(false)
	s.wantCall(http.StatusCreated, "", http.MethodPost, "/api/v1/keys", key, `{"name":"second"}`, "Content-Type", "application/json")
	l := s.ledger()
	s.until(30*time.Second, "in the ledger", func() bool {
		stated, err := l.Balance(t.Context(), 1)
		return err == nil && stated == mustAvailable(s, key)
	})
	serve.stop()
	s.reconciled()
}

// booksFull has Postgres answer what it answers when its disk is full, where books are
// written.
func (s *site) booksFull(full bool) {
	s.t.Helper()
	statements := []string{"drop function no_room() cascade"}
	if full {
		statements = []string{`create function no_room() returns trigger language plpgsql as
			$$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$`}
		for _, table := range []string{"ledger_transactions", "api_keys", "credits", "jobs"} {
			statements = append(statements, "create trigger no_room before insert or update on "+table+" for each statement execute function no_room()")
		}
	}
	for _, statement := range statements {
		s.asOwner(statement)
	}
}
