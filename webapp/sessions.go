package webapp

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/ratelimit"
)

// SessionLife is how long a token is good for.
const SessionLife = 15 * time.Minute

// accounts opens people's accounts.
type accounts interface {
	Enter(ctx context.Context, profile billing.Profile, said time.Time) (billing.Account, bool, error)
	ByTelegram(ctx context.Context, telegramID int64) (billing.Account, error)
}

// languages tells which language an account's owner is spoken to in.
type languages interface {
	Language(ctx context.Context, accountID int64) (string, error)
}

// guard limits how often a person may do something.
type guard interface {
	// Take asks for once more. [*ratelimit.ExceededError].
	Take(ctx context.Context, telegramID int64) error
}

// SessionsOptions are what Sessions need.
type SessionsOptions struct {
	BotToken  string
	Peppers   []string // the newest first
	Accounts  accounts
	Languages languages
	Guard     guard            // of sessions that a person begins; nil: they are not limited
	Now       func() time.Time // nil: time.Now
}

// Sessions let people in who open the Mini App.
type Sessions struct {
	secret    []byte
	seals     seals
	accounts  accounts
	languages languages
	guard     guard
	now       func() time.Time
}

// NewSessions connects to nothing.
func NewSessions(o SessionsOptions) (*Sessions, error) {
	if o.BotToken == "" || len(o.Peppers) == 0 || o.Accounts == nil || o.Languages == nil {
		return nil, errors.New("webapp: BotToken, Peppers, Accounts and Languages are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Sessions{
		secret: initDataSecret(o.BotToken), seals: newSeals(o.Peppers),
		accounts: o.Accounts, languages: o.Languages, guard: o.Guard, now: o.Now,
	}, nil
}

// Begin exchanges initData for a session of the person's account, which is made if need
// be, as the bot makes it. Errors: billing.ErrInitData, ErrInitDataOld,
// ErrAccountInactive, ErrClosed, [*ratelimit.ExceededError].
func (s *Sessions) Begin(ctx context.Context, initData string) (billing.Session, error) {
	v, account, err := s.enter(ctx, initData, true)
	if err != nil {
		return billing.Session{}, err
	}
	if account.Status != billing.StatusActive {
		return billing.Session{}, billing.ErrAccountInactive
	}
	language, err := s.languages.Language(ctx, account.ID)
	if err != nil || language == "" {
		language = v.Language // what was chosen cannot be read now; that costs a session nothing
	}
	end := s.now().Add(SessionLife).Truncate(time.Second)
	return billing.Session{
		Token: s.seals.mint(account.ID, end), ExpiresAt: end,
		Account: account, Language: language, StartParam: v.startParam,
	}, nil
}

// Identify reads initData that came in place of a session. Errors as of Begin, but that a
// ban is for whoever asks about the account to find.
func (s *Sessions) Identify(ctx context.Context, initData string) (billing.PresentedKey, error) {
	v, account, err := s.enter(ctx, initData, false)
	if err != nil {
		return billing.PresentedKey{}, err
	}
	return billing.PresentedKey{
		Account: account.ID, Session: "telegram-" + strconv.FormatInt(v.TelegramID, 10), Until: v.at.Add(initDataAge),
	}, nil
}

// Parse reads a session's token. ErrSession.
func (s *Sessions) Parse(token string) (billing.PresentedKey, error) {
	return s.seals.open(token, s.now())
}

// enter checks initData and finds the person's account. With anew, what Telegram says of
// the person by now is taken over.
func (s *Sessions) enter(ctx context.Context, initData string, anew bool) (visitor, billing.Account, error) {
	v, err := readInitData(initData, s.secret, s.now())
	if err != nil {
		return visitor{}, billing.Account{}, err
	}
	if !anew {
		account, err := s.accounts.ByTelegram(ctx, v.TelegramID)
		if !errors.Is(err, billing.ErrAccountUnknown) {
			return v, account, err
		}
	}
	if err := s.admit(ctx, v.TelegramID); err != nil {
		return visitor{}, billing.Account{}, err
	}
	account, _, err := s.accounts.Enter(ctx, v.Profile, v.at)
	if err != nil && !errors.Is(err, billing.ErrAccountUnknown) && !errors.Is(err, billing.ErrInitDataOld) {
		err = fmt.Errorf("%w: %w", billing.ErrClosed, err) // a store is away
	}
	return v, account, err
}

// admit asks whether the person may begin one more session.
func (s *Sessions) admit(ctx context.Context, telegramID int64) error {
	if s.guard == nil {
		return nil
	}
	err := s.guard.Take(ctx, telegramID)
	var exceeded *ratelimit.ExceededError
	if err != nil && !errors.As(err, &exceeded) {
		err = fmt.Errorf("%w: limit of sessions: %w", billing.ErrClosed, err)
	}
	return err
}
