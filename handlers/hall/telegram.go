package hall

import (
	"errors"
	"net/http"

	"github.com/kikuai/kikuai/bot"
)

// Refused tells whether Telegram will not do what was asked, however often.
func Refused(err error) bool {
	var api *bot.APIError
	return errors.As(err, &api) && api.Code == http.StatusBadRequest
}
