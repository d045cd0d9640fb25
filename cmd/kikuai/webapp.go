package main

import (
	"net"
	"net/url"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/gateway"
	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/ratelimit"
	"github.com/kikuai/kikuai/webapp"
)

// sessionsPerMinute is how many sessions of the Mini App a person may begin in any minute:
// one for each time that it is opened, and one each quarter of an hour.
const sessionsPerMinute = 60

// openMiniApp lets people in who come from the Mini App. Without a bot there is none.
func (a *App) openMiniApp(options *gateway.Options) error {
	options.Origin = gateway.OriginOf(a.config.PublicURL)
	files, err := webapp.NewStatic(webapp.StaticOptions{Files: webapp.Dist(), Origin: options.Origin, Frames: a.frames(), Bot: a.botName})
	if err != nil {
		return err
	}
	options.MiniApp = files.Handle
	a.live, err = webapp.NewLive(webapp.LiveOptions{
		Feed: billing.NewFeed(a.stores.quick, a.postgres), Subscriber: a.stores.blocking, Log: a.log, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	options.Sockets = a.live
	if !a.config.TelegramToken.IsSet() {
		return nil
	}
	sessions, err := webapp.NewSessions(webapp.SessionsOptions{
		BotToken:  a.config.TelegramToken.Reveal(),
		Peppers:   a.config.KeyPeppers.Reveal(),
		Accounts:  a.desk.Accounts,
		Languages: a.desk.Settings,
		Guard:     ratelimit.NewGuard(a.limiter, "sessions", sessionsPerMinute, time.Minute),
	})
	if err != nil {
		return err
	}
	options.Sessions = sessions
	return nil
}

// frames are the sites that may show the Mini App in a frame, beside Telegram's: the page
// of a simulated Telegram, by either name of this machine.
func (a *App) frames() []string {
	u, err := url.Parse(a.config.TelegramAPIURL)
	if err != nil || u.Scheme != "http" || a.config.Profile == config.Production {
		return nil
	}
	own := u.Scheme + "://" + u.Host
	if host, port, err := net.SplitHostPort(u.Host); err == nil && host == "127.0.0.1" {
		return []string{own, u.Scheme + "://" + net.JoinHostPort("localhost", port)}
	}
	return []string{own}
}
