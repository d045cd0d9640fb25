package handlers

import (
	"context"
	"slices"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/talk"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/handlers/till"
)

// places are where a command is listed.
type places uint8

const (
	inPrivate     places = 1 << iota // chats with one person
	inGroups                         // groups, for everybody
	forGroupHeads                    // groups, for their administrators
	forAdmins                        // chats with the house's own admins
)

// entry is a command as menus list it.
type entry struct {
	command string
	key     string // of its description
	where   places
}

// entries are all commands that are listed, in the order they are shown.
func entries() []entry {
	return []entry{
		{talk.CommandAsk, "menu.ask", inGroups},
		{"new", "menu.new", inPrivate | inGroups},
		{"retry", "menu.retry", inPrivate | inGroups},
		{talk.CommandStop, "menu.stop", inPrivate | inGroups},
		{"model", "menu.model", inPrivate | inGroups},
		{"system", "menu.system", inPrivate},
		{"export", "menu.export", inPrivate},
		{"balance", "menu.balance", inPrivate},
		{"topup", "menu.topup", inPrivate},
		{"usage", "menu.usage", inPrivate},
		{"gift", "menu.gift", inPrivate},
		{"invite", "menu.invite", inPrivate},
		{till.CommandPay, "menu.pay", inPrivate | inGroups},
		{"app", "menu.app", inPrivate},
		{"newkey", "menu.newkey", inPrivate},
		{"keys", "menu.keys", inPrivate},
		{"settings", "menu.settings", inPrivate},
		{"help", "menu.help", inPrivate | inGroups},
		{"feedback", "menu.feedback", inPrivate},
		{"paysupport", "menu.paysupport", inPrivate},
		{"terms", "menu.terms", inPrivate},
		{"privacy", "menu.privacy", inPrivate},
		{"deleteaccount", "menu.deleteaccount", inPrivate},
		{"stats", "menu.stats", forAdmins},
		{"broadcast", "menu.broadcast", forAdmins},
		{"ban", "menu.ban", forAdmins},
		{"unban", "menu.unban", forAdmins},
	}
}

// Menus are the bot's menus of commands: for each scope in each language, and one for each
// of the house's admins, in English.
func Menus(book *texts.Book, admins []int64) []bot.Menu {
	menus := []bot.Menu{{}} // what an earlier version showed everywhere
	add := func(scope models.BotCommandScope, language, spoken string, where places) {
		menus = append(menus, bot.Menu{Scope: scope, Language: language, Commands: listed(book.Voice(spoken), where)})
	}
	for _, language := range texts.Languages() {
		asked := language
		if language == texts.English {
			asked = "" // and everybody else's
		}
		add(&models.BotCommandScopeAllPrivateChats{}, asked, language, inPrivate)
		add(&models.BotCommandScopeAllGroupChats{}, asked, language, inGroups)
		add(&models.BotCommandScopeAllChatAdministrators{}, asked, language, inGroups|forGroupHeads)
	}
	for _, admin := range admins {
		menus = append(menus, adminMenu(book, admin))
	}
	return menus
}

// adminMenu is the menu of one of the house's admins, in English.
func adminMenu(book *texts.Book, admin int64) bot.Menu {
	return bot.Menu{Scope: &models.BotCommandScopeChat{ChatID: admin}, Commands: listed(book.Voice(texts.English), inPrivate|forAdmins)}
}

// showAdminMenu shows one of the house's admins their menu: before they wrote, Telegram
// did not take it. Nothing fails with it.
func (r *Router) showAdminMenu(ctx context.Context, q hall.Request) {
	ctx, cancel := context.WithTimeout(ctx, hall.AcquaintIn)
	defer cancel()
	if err := r.Sender.ShowMenu(ctx, adminMenu(r.Texts, q.From.ID)); err != nil {
		r.Log.WarnContext(ctx, "menu of an admin not shown", "error", err)
	}
}

// listed are the commands of the places.
func listed(voice texts.Voice, where places) (commands []models.BotCommand) {
	for _, e := range entries() {
		if e.where&where != 0 {
			commands = append(commands, models.BotCommand{Command: e.command, Description: voice.Say(e.key)})
		}
	}
	return slices.Clip(commands)
}
