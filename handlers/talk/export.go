package talk

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

const exportTime = "2006-01-02 15:04"

// Export sends the topic's conversation as a file.
func (r *Room) Export(ctx context.Context, q hall.Request) error {
	k, err := r.turns.Talk(ctx, topic{q.Chat.ID, q.Thread})
	if err != nil {
		return err
	}
	if len(k.exchanges) == 0 && k.summary == "" {
		return r.Say(ctx, q, q.Voice.Say("talk.export_none"))
	}
	zone := q.Settings.Location()
	_, err = r.Sender.Send(ctx, bot.Message{
		ChatID: q.Chat.ID, ThreadID: q.Thread, Text: q.Voice.Count("talk.export", int64(len(k.exchanges))),
		Document: &bot.File{
			Name: "conversation-" + r.Now().In(zone).Format(time.DateOnly) + ".md",
			Data: []byte(r.exported(q, k, zone)),
		},
	})
	return err
}

// exported is a conversation as Markdown. Questions stand as quotes, answers as the model
// wrote them.
func (r *Room) exported(q hall.Request, k talk, zone *time.Location) string {
	var text strings.Builder
	fmt.Fprintf(&text, "# %s\n\n%s · %s\n", q.Voice.Say("talk.export_title"), r.chatModel(k, q.Settings), zone)
	if persona := personaOf(k, q.Settings); persona != "" {
		fmt.Fprintf(&text, "\n## %s\n\n%s\n", q.Voice.Say("talk.export_persona"), quoted(persona))
	}
	if k.summary != "" {
		fmt.Fprintf(&text, "\n## %s\n\n%s\n", q.Voice.Say("talk.export_summary"), k.summary)
	}
	for _, e := range k.exchanges {
		fmt.Fprintf(&text, "\n---\n\n**%s**\n\n%s\n", time.Unix(e.At, 0).In(zone).Format(exportTime), quoted(e.Question))
		if e.Answer != "" {
			fmt.Fprintf(&text, "\n%s\n", e.Answer)
		}
	}
	return text.String()
}

// quoted is text as a quote of Markdown.
func quoted(text string) string {
	return "> " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n> ")
}
