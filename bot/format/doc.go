// Package format turns what a model writes into what Telegram shows.
//
// [Markdown] reads CommonMark with GFM's tables, task lists and strikethrough, footnotes
// and LaTeX, and yields a [Text]: characters and the entities over them. It never fails:
// what is no Markdown, or not yet, is text. [Text.Split] cuts a long one into messages,
// [Text.Tail] shows its end while it is being written, and [Rich] writes the same
// document for Telegram's rich messages.
//
// What it yields, Telegram takes as it is. Entities lie inside the text and on the edges
// of characters, nest as Telegram's rules allow, have links that its servers accept, and
// keep their places: characters that Telegram would drop or trim are not there.
package format
