package handlers

// What the bot says about money.
const (
	textTopUp = `Your balance is %s.

Choose how much to add, or write /topup and a number of Stars, like /topup 250.`
	textAmount         = "An amount is a whole number of Stars from %d to %d, in digits, like /topup 250."
	textAskAmount      = "How many Stars? Answer with a whole number from %d to %d."
	textAskPlaceholder = "such as 250"

	textTooManyTopUps = "That were many invoices within an hour. Those that you have can be paid; I can make the next one in %s."

	textInvoiceTitle = "%s for AI models"
	textInvoice      = "Adds %s to your KikuAI balance, which pays for messages and API calls by the token. It does not expire."
	textMonthlyTitle = "%s each month"
	textMonthly      = "Adds %s to your KikuAI balance now and every 30 days, until you cancel. Cancel any time with /topup or in Telegram's settings."

	textChooseMonthly  = "How much each month? It is paid now and every 30 days until you cancel."
	textMonthlyLink    = "Your monthly top-up of ⭐ %d: press the button to confirm it."
	textMonthlyRuns    = "You have a monthly top-up already. /topup shows it and lets you cancel it."
	textNoMonthly      = "You have no monthly top-up."
	textRenews         = "\n\nMonthly top-up: ⭐ %d, next on %s."
	textRunsOut        = "\n\nMonthly top-up: ⭐ %d, cancelled. It was paid until %s."
	textCanceled       = "Your monthly top-up is cancelled; nothing more will be charged. What you have on your balance stays. It was paid until %s."
	textResumed        = "Your monthly top-up goes on."
	textMonthlyRefused = "Telegram does not let me change that. You find it in Telegram's settings, under My Stars."

	textPayForged     = "This invoice was not made by me. Nothing was charged. Make a new one with /topup."
	textPayAmount     = "The amount is not the one on my invoice. Nothing was charged. Make a new one with /topup."
	textPayStale      = "This invoice is more than a day old. Nothing was charged. Make a new one with /topup."
	textPayForeign    = "This invoice belongs to another account. Nothing was charged. Make your own with /topup."
	textPayClosed     = "This account is closed and cannot be topped up. Nothing was charged."
	textPaySubscribed = "You have a monthly top-up already. Nothing was charged. /topup shows it."
	textPayLater      = "I cannot take payments at this moment. Nothing was charged. Please try again in a minute."

	textReceipt        = "Paid: %s. Added to your balance: %s."
	textReceiptMonthly = "Monthly top-up paid: %s. Added to your balance: %s."
	textReceiptBalance = " You have %s now."
	textReceiptUntil   = "\nThe next payment is due on %s. /topup lets you cancel."

	textLow      = "Your balance is low: %s are left."
	textRefunded = `Your payment of %s was given back. The %s it had added are taken off your balance, as far as they are left.`

	textSubscriptionEnded  = "Your monthly top-up of ⭐ %d was cancelled. It was paid until %s; nothing more will be charged."
	textSubscriptionFailed = "Your monthly top-up of ⭐ %d could not be paid. It was paid until %s. Your balance stays; /topup starts a new one."

	textUsage          = "Spending on %s (UTC)\n"
	textUsageNone      = "Nothing was spent on %s (UTC)."
	textUsageModel     = "\n%s: %s\n   %s calls, %s tokens in, %s out"
	textUsageRest      = "\n%d more models: %s"
	textUsageSum       = "\n\nIn all: %s for %s calls"
	textUsageEstimated = "\n%s of them counted here, as the provider told no tokens."
	textUsageForm      = "Write a day like /usage 2026-11-20 or a month like /usage 2026-11. /usage alone shows today (UTC)."

	textPaySupport = `Something wrong with a payment? Paid Stars appear on your balance within a minute or two, also after a breakdown.

If they do not, or if you want a payment back, write to support and name the payment's id. Telegram's own support cannot help with purchases made here.`
	textPayContact = "\n\nSupport: %s"
	textPayLatest  = "\n\nYour latest payments:"
	textPayLine    = "\n\n%s: %s → %s, %s\n%s"

	textTerms = `Terms

What you buy: a balance in US dollars that pays for answers of AI models, by the token, here in the chat and through API keys. It is prepaid: nothing is ever charged beyond it, and it does not expire.

What it costs: under each answer stands what it cost, /usage shows each day. A call sets aside the most it could cost and gives back the rest. An answer that breaks off costs what was written until then.

Paying: by Telegram Stars, once or each month (cancel any time with /topup), or by card where that is offered. Before you pay you see what will be added.

Refunds: a payment that you have not spent is given back within 14 days of asking; see /paysupport. When a payment is given back, what it had added is taken off your balance. What was spent on answers is not given back, unless the fault was ours.

Answers come from models of other companies. They can be wrong; check what matters. Do not use them to break the law or to harm people. Accounts that do, or that cheat with payments, are closed.

You can leave any time with /deleteaccount; a balance that is left then is forfeited.`

	textPrivacy = `Privacy

What is kept: your Telegram id, name and language; your balance, payments and the cost, time and model of each call; names of your API keys (the keys themselves only as a hash).

What you write: the last messages of our chat are kept for at most seven days, so that I can follow the conversation; /new forgets them at once. An answer is kept for two days, so that a breakdown does not make you pay twice. Calls through the API are not kept, but for answers that a call itself asks to have kept: those for a day at most, and only for you.

Who else sees it: the provider of the model you use gets your message and no name or id of yours. Telegram sees what passes through Telegram. Nobody else does; nothing is sold and nothing trains a model here.

/deleteaccount removes your id, name, language, settings, key names, conversation and kept answers. The books stay, as the law asks of every shop, under a number that leads to nobody; of your id only a keyed hash is left, so that a welcome gift is given once.`

	textDelete = `This deletes your account for good:

• your balance of %s is forfeited
• your API keys stop working at once
• a monthly top-up is cancelled
• your name, settings and our conversation are removed

The books of past payments stay, under a number that leads to nobody. Want a payment back first? See /paysupport.`
	textDeleted         = "Your account is deleted. Write me any time to begin a new one."
	textKept            = "Nothing was deleted."
	textNothingToDelete = "There is no account to delete."
)
