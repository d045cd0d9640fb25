package billing

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestSettings(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx, store := t.Context(), r.desk.Settings
	const person = 4242
	account, _, err := r.desk.Accounts.Open(ctx, Profile{TelegramID: person, Language: "pt-br"})
	r.must(err)
	if got, err := store.Read(ctx, account.ID); err != nil || !reflect.DeepEqual(got, Settings{}) {
		t.Fatalf("nothing chosen: %+v, %v", got, err)
	}
	want := Settings{Language: "ru", Model: "a/model", Favourites: []string{"x", "y"}, Persona: "Be brief. 🙂", Zone: "Asia/Tokyo",
		HideCost: true, MuteLow: true, MuteNews: true, LongAsFile: true, Rich: true, ForgetAfter: MaxForgetAfter}
	if got, err := store.Change(ctx, account.ID, func(s *Settings) { *s = want }); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
	for range 2 {
		if got, err := store.ReadByTelegram(ctx, person); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("read %+v, %v", got, err)
		}
		want.Language, want.Favourites = "", nil
		_, err := store.Change(ctx, account.ID, func(s *Settings) { s.Language, s.Favourites = "", nil })
		r.must(err)
	}
	if language, err := store.Language(ctx, account.ID); err != nil || language != "pt-br" {
		t.Errorf("addressed in %q, %v", language, err)
	}
	if got, err := store.ReadByTelegram(ctx, 1); err != nil || !reflect.DeepEqual(got, Settings{}) {
		t.Errorf("a stranger has %+v, %v", got, err)
	}
	for name, spoil := range map[string]func(*Settings){
		"a zone nobody knows":  func(s *Settings) { s.Zone = "Europe/Atlantis" },
		"the machine's zone":   func(s *Settings) { s.Zone = "Local" },
		"a path":               func(s *Settings) { s.Zone = "../../etc/passwd" },
		"a long persona":       func(s *Settings) { s.Persona = strings.Repeat("ж", MaxPersona+1) },
		"NUL":                  func(s *Settings) { s.Persona = "a\x00b" },
		"no UTF-8":             func(s *Settings) { s.Model = "\xff" },
		"a long model":         func(s *Settings) { s.Model = strings.Repeat("m", MaxModelName+1) },
		"a long language":      func(s *Settings) { s.Language = strings.Repeat("l", maxLanguage+1) },
		"many favourites":      func(s *Settings) { s.Favourites = make([]string, MaxFavourites+1) },
		"a favourite too long": func(s *Settings) { s.Favourites = []string{strings.Repeat("m", MaxModelName+1)} },
		"a negative time":      func(s *Settings) { s.ForgetAfter = -time.Second },
		"a month and a second": func(s *Settings) { s.ForgetAfter = MaxForgetAfter + time.Second },
	} {
		if _, err := store.Change(ctx, account.ID, spoil); !errors.Is(err, ErrSettings) {
			t.Errorf("%s: %v", name, err)
		}
	}
	largest := Settings{Persona: strings.Repeat("ж", MaxPersona), Model: strings.Repeat("m", MaxModelName), Favourites: make([]string, MaxFavourites),
		Zone: "America/Argentina/ComodRivadavia", Language: strings.Repeat("l", maxLanguage), ForgetAfter: MaxForgetAfter}
	if _, err := store.Change(ctx, account.ID, func(s *Settings) { *s = largest }); err != nil {
		t.Errorf("the largest that is allowed: %v", err)
	}
	if _, err := store.Change(ctx, 1<<40, func(*Settings) {}); !errors.Is(err, ErrAccountUnknown) {
		t.Errorf("settings of no account: %v", err)
	}
}

// TestSettingsTogether: changes of one account that come at once all hold.
func TestSettingsTogether(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(0)
	const changes = 12
	var done sync.WaitGroup
	for i := range changes {
		done.Go(func() {
			_, err := r.desk.Settings.Change(t.Context(), account, func(s *Settings) {
				s.Favourites = append(s.Favourites, fmt.Sprintf("model-%d", i))
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if got, err := r.desk.Settings.Read(t.Context(), account); err != nil || len(got.Favourites) != changes {
		t.Errorf("%d of %d changes hold: %v", len(got.Favourites), changes, err)
	}
}

// TestSettingsOfWhoLeft: nothing that a person chose stays, or comes back.
func TestSettingsOfWhoLeft(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(0)
	_, err := r.desk.Settings.Change(t.Context(), account, func(s *Settings) { s.Persona = "I am Grace" })
	r.must(err)
	r.must(r.desk.Accounts.Close(t.Context(), account, House))
	if _, err := r.desk.Settings.Change(t.Context(), account, func(s *Settings) { s.Persona = "I am Grace" }); !errors.Is(err, ErrAccountUnknown) {
		t.Errorf("a closed account keeps settings: %v", err)
	}
	if n := r.count(`select count(*) from settings where account_id = $1`, account); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}
