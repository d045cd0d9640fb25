package billing

import (
	"errors"
	"time"
)

// What those who come from the Mini App can be told.
var (
	// ErrSession is a token of a session that is none, or has ended.
	ErrSession = errors.New("billing: no such session, or it has ended")
	// ErrInitData is what Telegram cannot have said of who opened the Mini App.
	ErrInitData = errors.New("billing: not what Telegram said to the Mini App")
	// ErrInitDataOld is what Telegram said too long ago, or by another clock.
	ErrInitDataOld = errors.New("billing: what Telegram said to the Mini App is out of date")
)

// Session is somebody who opened the Mini App. Its token stands where an API key does,
// for a few minutes; nothing of it is kept.
type Session struct {
	Token      string
	ExpiresAt  time.Time
	Account    Account
	Language   string // to speak to them in, such as "pt-BR"; "": not known
	StartParam string // of the link that opened the Mini App
}

// Presence is who a connection that stays open speaks for.
type Presence struct {
	AccountID int64
	KeyID     int64     // 0: a session of the Mini App
	Until     time.Time // zero: until the key is revoked
}

// Name is what the credential is remembered under, with no way back to it. A key's
// locator is made from all of the key, so nobody else can present it; sessions are told
// apart by whose they are, since anybody's are their owner's.
func (p PresentedKey) Name() string {
	if p.Session != "" {
		return "session:" + p.Session
	}
	return p.Locator[0]
}
