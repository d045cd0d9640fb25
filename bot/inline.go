package bot

import (
	"context"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot/format"
)

const inlineKept = 60 // seconds that Telegram may show one person the same results again

// AnswerInline offers results for what somebody types behind the bot's name, above them a
// button, if any. A query that Telegram has given up already is no error.
func (s *Sender) AnswerInline(ctx context.Context, queryID string, button *models.InlineQueryResultsButton, results ...models.InlineQueryResult) error {
	const noChat = 0
	if results == nil {
		results = []models.InlineQueryResult{} // an array, though of nothing
	}
	return s.persist(ctx, noChat, "answerInlineQuery", func(ctx context.Context) error {
		_, err := s.client.AnswerInlineQuery(ctx, &tg.AnswerInlineQueryParams{
			InlineQueryID: queryID, Results: results, CacheTime: inlineKept, IsPersonal: true, Button: button,
		})
		if refusedFor(err, "query is too old") || refusedFor(err, "query ID is invalid") {
			return nil
		}
		return err
	})
}

// EditInline replaces the text of a message that somebody sent through the bot, as much of
// it as fits, and removes its buttons. One that is gone is no error.
func (s *Sender) EditInline(ctx context.Context, inlineMessageID string, text format.Text) error {
	const noChat = 0
	parts := text.Split(format.MessageMost)
	if len(parts) == 0 {
		return errEmptyText
	}
	return s.persist(ctx, noChat, "editMessageText", func(ctx context.Context) error {
		params := &tg.EditMessageTextParams{
			InlineMessageID: inlineMessageID, Text: parts[0].String, Entities: parts[0].Entities, LinkPreviewOptions: noPreview(),
		}
		_, err := s.client.EditMessageText(ctx, params)
		if refusedFor(err, "can't parse entities") && params.Entities != nil {
			params.Entities = nil
			_, err = s.client.EditMessageText(ctx, params)
		}
		if refusedFor(err, "message is not modified") || refusedFor(err, "MESSAGE_ID_INVALID") {
			return nil
		}
		return err
	})
}
