package telegramsim

import (
	"fmt"
	"time"
)

// Rule is one of the rules that the simulator keeps, and where it is written down.
type Rule struct {
	What   string `json:"what"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

const (
	inDocs   = "https://core.telegram.org/bots/api#"
	inFAQ    = "https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this"
	inServer = "https://github.com/tdlib/telegram-bot-api, telegram-bot-api/"
)

// Rules lists the rules of delivery, pace and size that matter to who measures a bot. The refusals of single
// parameters stand with their sources in the code of each method.
func Rules() []Rule {
	times := func(d time.Duration) string { return d.String() }
	return []Rule{
		{"updates of one chat are delivered one after another; the next when the one before was acknowledged", "one in flight per queue", inServer + "WebhookActor.cpp: handle, load_updates"},
		{"queues", "messages by chat, callbacks, inline queries and payments by user", inServer + "Client.cpp: the add_update… functions"},
		{"connections to a webhook", fmt.Sprintf("%d unless setWebhook says otherwise, at most 100", defaultMaxConnections), inDocs + "setwebhook"},
		{"new connections", fmt.Sprintf("%d in %s while deliveries succeed, %d in %s while none does", activeDials, activeWindow, pendingDials, pendingWindow), inServer + "WebhookActor.cpp: create_new_connections"},
		{"without a success for", times(successWindow) + ": one connection", inServer + "WebhookActor.cpp: create_new_connections"},
		{"only 2xx acknowledges an update, within", times(answerTimeout), inServer + "WebhookActor.cpp: handle"},
		{"a delivery that failed is made again", fmt.Sprintf("at once, then after 2, 4, 8 … %d to %d s", maxBackoff, 2*maxBackoff), inServer + "WebhookActor.cpp: on_update_error"},
		{"Retry-After is kept", fmt.Sprintf("up to %d s", maxRetryAfter), inServer + "WebhookActor.cpp: on_update_error"},
		{"410 ends a webhook after", times(goneAfter), inServer + "WebhookActor.cpp: WEBHOOK_DROP_TIMEOUT"},
		{"an update is given up after", fmt.Sprintf("%s; callbacks %s, inline queries %d s", times(day), times(callbackLife), inlineLife), inServer + "Client.cpp: the add_update… functions"},
		{"messages to one chat", fmt.Sprintf("%d a second, bursts of %d pass", chatPerSecond, chatBurst), inFAQ},
		{"messages to one group", fmt.Sprintf("%d a minute", groupPerMinute), inFAQ},
		{"messages in all, in bulk", fmt.Sprintf("%d a second", bulkPerSecond), inFAQ},
		{"429 tells for how long to be silent", "parameters.retry_after, in seconds", inDocs + "responseparameters"},
		{"text of a message", fmt.Sprintf("1 to %d UTF-16 units after parsing, of a caption up to %d", maxText, maxCaption), inDocs + "sendmessage"},
		{"a draft is shown for", times(draftLife), inDocs + "sendmessagedraft"},
		{"a file that a bot fetches", fmt.Sprintf("up to %d MB", MaxDownload>>20), inDocs + "getfile"},
		{"a file that a bot sends", fmt.Sprintf("up to %d MB, a photo %d MB", maxUpload>>20, maxPhotoBytes>>20), inDocs + "sending-files"},
	}
}
