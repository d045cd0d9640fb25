package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/postgres"
)

// Bounds of settings; the table's are the same.
const (
	MaxModelName   = 128  // characters
	MaxFavourites  = 16   // models
	MaxPersona     = 4096 // characters
	MaxForgetAfter = 30 * 24 * time.Hour
	maxZone        = 64 // characters
)

// ErrSettings is that a setting is out of its bounds.
var ErrSettings = errors.New("billing: a setting is out of its bounds")

// Settings are what an account's owner chose in the bot. The zero value is what holds
// for somebody who chose nothing.
type Settings struct {
	Language    string        // such as "ru"; "": as Telegram says
	Model       string        // for chats that chose none; "": the house's
	Favourites  []string      // models, at most MaxFavourites
	Persona     string        // what models are told before a conversation; "": nothing
	Zone        string        // an IANA name such as "Europe/Berlin"; "": UTC
	HideCost    bool          // no line of cost under answers
	MuteLow     bool          // no notice of a low balance
	MuteNews    bool          // no broadcasts
	LongAsFile  bool          // long answers come as a file
	Rich        bool          // answers come as rich messages
	ForgetAfter time.Duration // in whole seconds, conversations are forgotten after; 0: the house's
}

// Location is the zone as the clock knows it: UTC for none, and for one it does not know.
func (s Settings) Location() *time.Location {
	at, err := time.LoadLocation(s.Zone)
	if err != nil || s.Zone == "Local" {
		return time.UTC
	}
	return at
}

// check is ErrSettings where something is out of bounds.
func (s Settings) check() error {
	_, err := time.LoadLocation(s.Zone)
	switch {
	case err != nil, s.Zone == "Local", len(s.Zone) > maxZone:
		return fmt.Errorf("%w: zone", ErrSettings)
	case tooLong(s.Language, maxLanguage), tooLong(s.Model, MaxModelName), tooLong(s.Persona, MaxPersona):
		return fmt.Errorf("%w: a text", ErrSettings)
	case len(s.Favourites) > MaxFavourites, slices.ContainsFunc(s.Favourites, func(model string) bool { return tooLong(model, MaxModelName) }):
		return fmt.Errorf("%w: favourites", ErrSettings)
	case s.ForgetAfter < 0, s.ForgetAfter > MaxForgetAfter:
		return fmt.Errorf("%w: when to forget", ErrSettings)
	}
	return nil
}

func tooLong(text string, most int) bool { return cleanText(text, most) != text }

// SettingsStore keeps settings in Postgres, by account.
type SettingsStore struct {
	redis    redis.Cmdable // hears of changes
	postgres *pgxpool.Pool
}

const settingsFields = `language, model, favourites, persona, zone, hide_cost, mute_low, mute_news, long_as_file, rich, forget_after`

// Read returns an account's settings; the zero value where nothing was chosen. ErrClosed.
func (s *SettingsStore) Read(ctx context.Context, accountID int64) (Settings, error) {
	return s.read(ctx, `select `+settingsFields+` from settings where account_id = $1`, accountID)
}

// ReadByTelegram is Read for the account of a Telegram user, who may have none.
func (s *SettingsStore) ReadByTelegram(ctx context.Context, telegramID int64) (Settings, error) {
	return s.read(ctx, `select `+settingsFields+` from settings
		where account_id = (select id from accounts where telegram_id = $1)`, telegramID)
}

func (s *SettingsStore) read(ctx context.Context, query string, id int64) (Settings, error) {
	settings, err := scanSettings(s.postgres.QueryRow(ctx, query, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return Settings{}, nil
	}
	if err != nil {
		return Settings{}, fmt.Errorf("%w: read settings: %w", ErrClosed, err)
	}
	return settings, nil
}

func scanSettings(row pgx.Row) (s Settings, err error) {
	var seconds int64
	err = row.Scan(&s.Language, &s.Model, &s.Favourites, &s.Persona, &s.Zone, &s.HideCost, &s.MuteLow, &s.MuteNews,
		&s.LongAsFile, &s.Rich, &seconds)
	s.ForgetAfter = time.Duration(seconds) * time.Second
	if len(s.Favourites) == 0 {
		s.Favourites = nil
	}
	return s, err
}

// Change lets change edit an account's settings, one change after another, and returns
// what they are then. change must be repeatable. An account that was closed keeps none.
// ErrSettings, ErrAccountUnknown, ErrClosed.
func (s *SettingsStore) Change(ctx context.Context, accountID int64, change func(*Settings)) (settings Settings, err error) {
	err = postgres.InTx(ctx, s.postgres, func(tx pgx.Tx) error {
		// The account's row is held, so that closing it comes before or after.
		var status string
		err := tx.QueryRow(ctx, `select status from accounts where id = $1 for no key update`, accountID).Scan(&status)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && status == StatusClosed {
			return ErrAccountUnknown
		}
		if err != nil {
			return err
		}
		settings, err = scanSettings(tx.QueryRow(ctx, `select `+settingsFields+` from settings where account_id = $1`, accountID))
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		change(&settings)
		if err := settings.check(); err != nil {
			return err
		}
		return writeSettings(ctx, tx, accountID, settings)
	})
	switch {
	case errors.Is(err, ErrSettings), errors.Is(err, ErrAccountUnknown):
		return Settings{}, err
	case err != nil:
		return Settings{}, fmt.Errorf("change settings: %w", err)
	}
	announce(ctx, s.redis, newsOf(NewsSettings, accountID))
	return settings, nil
}

func writeSettings(ctx context.Context, tx pgx.Tx, accountID int64, s Settings) error {
	favourites := s.Favourites
	if favourites == nil {
		favourites = []string{}
	}
	_, err := tx.Exec(ctx, `insert into settings (account_id, `+settingsFields+`)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		on conflict (account_id) do update set (`+settingsFields+`, changed_at) =
			($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, now())`,
		accountID, s.Language, s.Model, favourites, s.Persona, s.Zone, s.HideCost, s.MuteLow, s.MuteNews,
		s.LongAsFile, s.Rich, int64(s.ForgetAfter/time.Second))
	return err
}

// Language returns the language to address an account's owner in: the chosen one, else
// what Telegram told last, else "". ErrClosed.
func (s *SettingsStore) Language(ctx context.Context, accountID int64) (language string, err error) {
	err = s.postgres.QueryRow(ctx, `select coalesce(nullif(s.language, ''), a.language)
		from accounts a left join settings s on s.account_id = a.id where a.id = $1`, accountID).Scan(&language)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("%w: read a language: %w", ErrClosed, err)
	}
	return language, nil
}
