package handlers

// What the bot says. One place, so that translations can sit beside it.
const (
	textWelcome = `Hello, %s! I am your way to many AI models, paid by the token.

Your balance is %s. Write me a message and I answer; under each answer stands what it cost.

/newkey makes an API key: point any OpenAI SDK at %s and pay from the same balance.
/help lists what I can do.`

	textHelp = `Write me anything and I pass it to the model (%s). I remember the last messages of our chat.

/balance — what is left, and what is on hold
/topup — add money with Telegram Stars, once or monthly
/usage — what you spent today, or on any day
/newkey name — a new API key
/keys — your keys, with buttons to revoke them
/new — forget this conversation
/paysupport, /terms, /privacy — payments and what is kept
/deleteaccount — leave, and take your data with you
/help — this text`

	textTiers = "\n\nTiers of accounts, for all their keys together:\n• "

	textBalance     = "Balance: %s"
	textBalanceHeld = "Balance: %s\nOn hold for running answers: %s"

	textNewKey = `Your new key “%s”. It is shown only once:

%s

Use it with any OpenAI SDK:
base URL %s
Revoke it any time with /keys.`

	textNoKeys     = "You have no API keys yet. /newkey name makes one."
	textKeys       = "Your API keys:"
	textKeyRevoked = "Key “%s” is revoked. Calls with it fail from now on."
	textKeyGone    = "That key is already revoked."

	textForgotten   = "Forgotten. We start afresh."
	textUnknown     = "I do not know /%s. /help lists what I can do."
	textTextOnly    = "I can read text so far. Send me your question in words."
	textPrivateOnly = "I talk in private: open a chat with me and press Start."
	textTooFast     = "You are quicker than I am. Please try again in %s."
	textClosed      = "This account is closed."

	textBudget   = "This answer could cost up to %s, and of your budget of %s a %s %s is left. It is whole again on %s UTC."
	textPoor     = "This answer could cost up to %s and your balance is %s. Top up with /topup, or send a shorter message."
	textLimited  = "That is faster than I may answer. Please write again in %s; until then I leave your messages unanswered."
	textUpstream = "The model did not answer this time. You were charged nothing. Try again in a moment."
	textNoModel  = "The model is not available at the moment. Nothing was charged."
	textTooLong  = "That message is too long for the model. Nothing was charged; please send less at once."
	textEmpty    = "The model returned an empty answer."
	textCutShort = "\n\n[cut short: the model stopped answering; you paid only for what is above]"
	textFooter   = "\n\n%s · balance %s"
)
