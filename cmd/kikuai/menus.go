package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	tg "github.com/go-telegram/bot"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/internal/config"
)

const (
	// jobMenus is the job that shows the menus, and the name under which it keeps which.
	jobMenus   = "menus"
	miniAppAt  = "/webapp/"
	miniAppIn  = 5 * time.Second // for an answer of the Mini App
	miniAppTag = "KikuAI"        // on the menu button, in every language
)

// menus are what Telegram lists and opens beside the field where people write.
type menus struct {
	lists []bot.Menu
	app   string // address of the Mini App; "": the button opens the list
}

func menusOf(ctx context.Context, c *config.Config) (menus, error) {
	m, err := listsOf(c)
	if err == nil {
		m.app = miniApp(ctx, http.DefaultClient, c.PublicURL, c.TelegramAPIURL)
	}
	return m, err
}

// listsOf are the menus without the Mini App.
func listsOf(c *config.Config) (menus, error) {
	book, err := texts.Load()
	if err != nil {
		return menus{}, err
	}
	return menus{lists: handlers.Menus(book, c.Admins)}, nil
}

// opens tells whether a Telegram opens a Mini App that is served there: https alone, but
// that a simulated one and what is served beside it need not leave the machine.
func opens(publicURL, telegramURL string) bool {
	return strings.HasPrefix(publicURL, "https://") || onLoopback(publicURL) && onLoopback(telegramURL)
}

// onLoopback tells whether an address is plain http on this machine.
func onLoopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// miniApp is the address of the Mini App, where it is served and that Telegram opens it: a
// button that leads nowhere is worse than none.
func miniApp(ctx context.Context, web *http.Client, publicURL, telegramURL string) string {
	if !opens(publicURL, telegramURL) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, miniAppIn)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, publicURL+miniAppAt, nil)
	if err != nil {
		return ""
	}
	response, err := web.Do(request)
	if err != nil {
		return ""
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return ""
	}
	return publicURL + miniAppAt
}

func (m menus) show(ctx context.Context, client *tg.Bot) error {
	if err := bot.SetMenus(ctx, client, m.lists...); err != nil {
		return err
	}
	return bot.SetMenuButton(ctx, client, miniAppTag, m.app)
}

// sum tells menus from others.
func (m menus) sum() string {
	hash := sha256.New()
	fmt.Fprintln(hash, m.app)
	for _, list := range m.lists {
		fmt.Fprintf(hash, "%T %+v %s %+v\n", list.Scope, list.Scope, list.Language, list.Commands)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// showMenus shows the menus, whatever was shown before.
func showMenus(ctx context.Context, client *tg.Bot, c *config.Config) error {
	m, err := menusOf(ctx, c)
	if err != nil {
		return err
	}
	return m.show(ctx, client)
}

// menusShown is what the job did last.
type menusShown struct {
	Bot int64  `json:"bot"`
	Sum string `json:"sum"`
}

// keepMenus shows the menus where they are not those that were shown last: after an
// update of the program, or when the Mini App came or went.
func (a *App) keepMenus(ctx context.Context) error {
	m, err := menusOf(ctx, a.config)
	if err != nil {
		return err
	}
	var before menusShown
	if err := a.desk.Jobs.Load(ctx, jobMenus, &before); err != nil {
		return err
	}
	now := menusShown{Bot: botID(a.config.TelegramToken.Reveal()), Sum: m.sum()}
	if now == before {
		return nil
	}
	if err := m.show(ctx, a.telegram); err != nil {
		return err
	}
	return a.desk.Jobs.Save(ctx, jobMenus, now)
}
