package hall

import "github.com/kikuai/kikuai/handlers/texts"

// Dollars is an amount in nano-USD to put into a text.
func Dollars(nano int64) texts.Dollars { return texts.Dollars(nano) }
