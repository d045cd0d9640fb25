package llm

import (
	"strings"

	"github.com/tidwall/gjson"
)

// FieldCacheMaxAge is the field in which a client asks for an answer that was given to
// the same request before, at most so many seconds ago. It is meant for us: no provider
// sees it.
const FieldCacheMaxAge = "cache_max_age"

const fieldTemperature = "temperature"

// repeatable: temperature 0, and neither tools nor anything else that acts.
func (r *chatRequest) repeatable() bool {
	temperatures, cold, wordsOnly := 0, false, true
	gjson.Parse(r.body).ForEach(func(key, value gjson.Result) bool {
		switch {
		case strings.EqualFold(key.Str, fieldTemperature): // of two, or of another spelling, the provider may heed either
			temperatures++
			cold = key.Str == fieldTemperature && value.Type == gjson.Number && value.Num == 0
		case !acts(key.Str):
		case value.Type == gjson.Null, value.Type == gjson.False, value.IsArray() && len(value.Array()) == 0:
		default:
			wordsOnly = false
		}
		return wordsOnly
	})
	return wordsOnly && temperatures == 1 && cold
}

// acts tells whether a field asks for more than words.
func acts(name string) bool {
	for _, acting := range [...]string{"tools", "functions", "audio", "store", "background"} {
		if strings.EqualFold(name, acting) {
			return true
		}
	}
	return false
}
