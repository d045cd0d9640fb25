package doctor

import (
	"context"
	"math"
	"strings"
)

// What a secret should hold, as [Secret.Bits].
const (
	BitsOfPepper   = 100 // with it and the database, keys could be guessed at leisure
	BitsOfWebhook  = 56  // which is sixteen characters
	BitsOfPassword = 40  // of a server that few can reach
)

// Secret is one to be looked at, and never shown.
type Secret struct {
	Name  string // of its variable
	Value string
	Bits  float64 // that it should hold
}

// Secrets are those of the configuration.
type Secrets []Secret

// Checks of the secrets.
func (s Secrets) Checks() []Check { return []Check{{"secrets", s.look}} }

// placeholders stand in examples and are then forgotten.
var placeholders = []string{"changeme", "change-me", "change_me", "replace", "example", "your-", "your_", "placeholder", "xxxxxx", "123456", "password", "secret", "kikuai", "qwerty"}

func (s Secrets) look(context.Context) (found []Finding) {
	const mend = "make a new one with openssl rand -hex 32"
	names := map[string]string{} // by value
	strong := 0
	for _, secret := range s {
		if secret.Value == "" {
			continue
		}
		switch other, twice := names[secret.Value]; {
		case twice:
			found = append(found, fault(mend, "%s is the same as %s: who learns one has both.", secret.Name, other))
		case placeholder(secret.Value):
			found = append(found, fault(mend, "%s looks like the placeholder of an example.", secret.Name))
		case bits(secret.Value) < secret.Bits:
			found = append(found, warning(mend, "%s looks as if it could be guessed.", secret.Name))
		default:
			strong++
		}
		names[secret.Value] = secret.Name
	}
	if len(found) == 0 {
		found = append(found, well("%d secrets differ and look random.", strong))
	}
	return found
}

func placeholder(value string) bool {
	value = strings.ToLower(value)
	for _, word := range placeholders {
		if strings.Contains(value, word) {
			return true
		}
	}
	return false
}

// bits is how much a text that was made by chance would hold, judged by how its
// characters are spread (Shannon). What has a pattern may hold less.
func bits(value string) float64 {
	counts := map[rune]float64{}
	var n float64
	for _, c := range value {
		counts[c]++
		n++
	}
	var each float64
	for _, times := range counts {
		each -= times / n * math.Log2(times/n)
	}
	return each * n
}
