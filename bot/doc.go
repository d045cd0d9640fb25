// Package bot is the Telegram machine: it takes updates in, keeps them until they have
// had their effect, and sends messages out. What an update means is decided by the
// [Handler] it is given.
//
//	Telegram → Webhook (or Poller) → Inbox → Redis → Dispatcher → Handler → Sender → Telegram
//
// # In
//
// [Webhook] answers 200 only after the update is in Redis. [Inbox] claims the update's
// id and appends the raw update to a stream in one script, so Telegram's redeliveries
// have no effect. Every update belongs to an ordering key (the chat, or the user) and
// by it to one of sixteen shards; each shard has two streams, "inbox" for what must stay
// in order and "urgent" for what must not wait behind a running answer: Stop, buttons,
// inline queries and payments.
//
// [Dispatcher] owns some of the shards ([stream.Leases]). Updates with one ordering key
// are handled one after another; outside the inbox, one after another among their own kind.
//
//	pending ──handled──────────────────────────────→ acknowledged
//	   │ ▲
//	   │ └─ failed (< 5 tries), or ErrTryLater (< 24 h): again, after a backoff
//	   └─── failed 5 times, crashed the process 20 times, or unreadable → dead letter
//
// A handler may take updates that wait behind its own in the chat into its handling
// ([Update.Take]): they have one effect and one end.
//
// An update is acknowledged after its effect. Whoever dies in between has the update
// handled again: handlers see each update at least once.
//
// # Out
//
// [Sender] keeps the order within a chat, repeats what can be repeated, and lets a 429
// hold up its own chat alone. All instances keep one pace, in Redis, and know of each
// other's 429s and of the chats that refuse the bot; while Redis is away each keeps a pace
// of its own. [Live] streams an answer that is still being written; its frames give way to
// messages. [Batcher] is the way of what nobody waits for, of which package outbox keeps
// what must not be lost. A message may be sent twice when Telegram's answer to the first
// attempt is lost.
package bot
