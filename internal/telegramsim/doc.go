// Package telegramsim is a Telegram for tests, benchmarks and development: a Bot API server on a real
// socket, the people and chats behind it, and the delivery of updates by webhook or long polling under
// Telegram's own rules.
//
// It answers what it simulates as Telegram would, refuses what Telegram refuses with Telegram's codes and
// descriptions, answers 501 to methods it does not simulate and 404 to methods that do not exist. It records
// every call, checks it against the Bot API's parameters (package spec) and can be told to misbehave (Faults).
//
// Where the rules come from: the Bot API documentation (https://core.telegram.org/bots/api), the Bots FAQ for
// the pace, and for what these leave open the published server (https://github.com/tdlib/telegram-bot-api):
// WebhookActor for delivery, Client for updates' queues and lives and for the descriptions of errors. What payments in
// Stars are refused with is in the lists of errors of https://core.telegram.org/method/messages.sendMedia and
// its neighbours under payments. Each rule names its source where it stands.
package telegramsim
