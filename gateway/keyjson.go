package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	keyBody    = 32 << 10 // bytes
	keyNamed   = 64       // characters
	milliFrom  = 3        // decimals of requests per second
	keyExample = `{"name":"ci","models":["gpt-4o*"],"allowed_ips":["203.0.113.0/24"],"expires_at":"2027-01-31T00:00:00Z","limits":{"rpm":60},"budget":{"month_usd":"20"}}`
)

// keyAnswer is a key as it is shown; null is no restriction, no limit, no budget.
type keyAnswer struct {
	ID         int64      `json:"id"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"` // what may be shown of the key
	Status     string     `json:"status"` // active, expired or revoked
	Models     []string   `json:"models"`
	AllowedIPs []string   `json:"allowed_ips"`
	ExpiresAt  *time.Time `json:"expires_at"`
	Limits     keyLimits  `json:"limits"`
	Budget     keyBudget  `json:"budget"`
	Spent      keySpent   `json:"spent"`
	LastUsedAt *time.Time `json:"last_used_at"` // give or take a minute
	CreatedAt  time.Time  `json:"created_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
}

type keyLimits struct {
	RPM         *int64  `json:"rpm"` // null: the default
	TPM         *int64  `json:"tpm"`
	Concurrency *int64  `json:"concurrency"`
	PerSecond   *string `json:"per_second"` // a decimal number
	Burst       *int64  `json:"burst"`
}

type keyBudget struct {
	DayUSD   *string `json:"day_usd"`
	MonthUSD *string `json:"month_usd"`
}

// keySpent is what the ledger knows of the running month, UTC.
type keySpent struct {
	MonthUSD  string `json:"month_usd"`
	MonthNano int64  `json:"month_nano_usd"`
}

// madeAnswer is a key that was made: Key is the secret, this once.
type madeAnswer struct {
	keyAnswer
	Key    *string `json:"key"`
	Notice string  `json:"notice"`
}

type keysAnswer struct {
	Keys       []keyAnswer `json:"keys"`
	NextCursor *string     `json:"next_cursor"` // null: these were the last
}

func (s *Server) keyJSON(k billing.KeyUse) keyAnswer {
	a := keyAnswer{
		ID: k.ID, Name: k.Name, Prefix: k.Hint, Status: "active", Models: k.Models,
		ExpiresAt: instant(k.ExpiresAt), LastUsedAt: instant(k.LastUsedAt), CreatedAt: k.CreatedAt.UTC(), RevokedAt: instant(k.RevokedAt),
		Limits: limitsJSON(k.Limits),
		Budget: keyBudget{DayUSD: dollars(k.Budget.DayNano), MonthUSD: dollars(k.Budget.MonthNano)},
		Spent:  keySpent{MonthUSD: billing.FormatUSD(k.MonthNano), MonthNano: k.MonthNano},
	}
	if len(a.Models) == 0 {
		a.Models = nil
	}
	for _, n := range k.Networks {
		a.AllowedIPs = append(a.AllowedIPs, n.String())
	}
	switch {
	case a.RevokedAt != nil:
		a.Status = "revoked"
	case a.ExpiresAt != nil && !s.now().Before(*a.ExpiresAt):
		a.Status = "expired"
	}
	return a
}

func limitsJSON(l billing.Limits) keyLimits {
	a := keyLimits{RPM: above0(l.RequestsPerMinute), TPM: above0(l.TokensPerMinute), Concurrency: above0(l.Concurrency), Burst: above0(l.Burst)}
	if milli := l.RefillMilli; milli > 0 {
		text := strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%d.%03d", milli/1000, milli%1000), "0"), ".")
		a.PerSecond = &text
	}
	return a
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func above0(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

func dollars(nano int64) *string {
	if nano == 0 {
		return nil
	}
	text := billing.FormatUSD(nano)
	return &text
}

// member reads one member of a request's object; null takes what it names away. The
// returned text says what is wrong with it.
type member func(raw json.RawMessage, c *billing.KeyChange) (fault string)

var keyMembers = map[string]member{
	"name": func(raw json.RawMessage, c *billing.KeyChange) string {
		name := ""
		if json.Unmarshal(raw, &name) != nil || utf8.RuneCountInString(name) > keyNamed {
			return fmt.Sprintf("is a string of at most %d characters.", keyNamed)
		}
		c.Name = &name
		return ""
	},
	"models": func(raw json.RawMessage, c *billing.KeyChange) string {
		models := []string{}
		if json.Unmarshal(raw, &models) != nil {
			return `is an array of models' ids, or of beginnings of them such as "gpt-4o*"; null is any model.`
		}
		c.Models = &models
		return ""
	},
	"allowed_ips": func(raw json.RawMessage, c *billing.KeyChange) string {
		var texts []string
		if json.Unmarshal(raw, &texts) != nil {
			return `is an array of addresses and networks such as "203.0.113.0/24"; null is from anywhere.`
		}
		networks := make([]netip.Prefix, len(texts))
		for i, text := range texts {
			var err error
			if networks[i], err = billing.ParseNetwork(text); err != nil {
				return faultIn(err)
			}
		}
		c.Networks = &networks
		return ""
	},
	"expires_at": func(raw json.RawMessage, c *billing.KeyChange) string {
		var at *time.Time
		if json.Unmarshal(raw, &at) != nil {
			return `is a moment such as "2027-01-31T00:00:00Z"; null is never.`
		}
		if at == nil {
			at = new(time.Time)
		}
		c.ExpiresAt = at
		return ""
	},
	"limits": func(raw json.RawMessage, c *billing.KeyChange) string {
		return readMembers(raw, limitMembers, c, `{"rpm":60,"tpm":100000,"concurrency":4,"per_second":"2.5","burst":10}`)
	},
	"budget": func(raw json.RawMessage, c *billing.KeyChange) string {
		return readMembers(raw, budgetMembers, c, `{"day_usd":"1.50","month_usd":"20"}`)
	},
}

var limitMembers = map[string]member{
	"rpm":         limitMember(0, func(c *billing.KeyChange) **int64 { return &c.Limits.RequestsPerMinute }),
	"tpm":         limitMember(0, func(c *billing.KeyChange) **int64 { return &c.Limits.TokensPerMinute }),
	"concurrency": limitMember(0, func(c *billing.KeyChange) **int64 { return &c.Limits.Concurrency }),
	"per_second":  limitMember(milliFrom, func(c *billing.KeyChange) **int64 { return &c.Limits.RefillMilli }),
	"burst":       limitMember(0, func(c *billing.KeyChange) **int64 { return &c.Limits.Burst }),
}

var budgetMembers = map[string]member{
	"day_usd":   budgetMember(func(c *billing.KeyChange) **int64 { return &c.BudgetDay }),
	"month_usd": budgetMember(func(c *billing.KeyChange) **int64 { return &c.BudgetMonth }),
}

// limitMember reads a number with so many decimals, as that many more digits.
func limitMember(decimals int, into func(*billing.KeyChange) **int64) member {
	return func(raw json.RawMessage, c *billing.KeyChange) string {
		n := int64(0)
		if string(raw) != "null" {
			text := string(raw)
			if decimals > 0 {
				text = strings.Trim(text, `"`)
			}
			whole, fraction, dotted := strings.Cut(text, ".")
			digits := whole + fraction + strings.Repeat("0", max(0, decimals-len(fraction)))
			var err error
			n, err = strconv.ParseInt(digits, 10, 64)
			if err != nil || n > billing.MaxLimit || whole == "" || strings.Trim(digits, "0123456789") != "" ||
				len(fraction) > decimals || dotted && fraction == "" {
				if decimals > 0 {
					return `is a number such as "2.5" with at most three decimals, up to "2147483.647"; null is none.`
				}
				return fmt.Sprintf("is a whole number from 0 to %d; null is none.", billing.MaxLimit)
			}
		}
		*into(c) = &n
		return ""
	}
}

func budgetMember(into func(*billing.KeyChange) **int64) member {
	return func(raw json.RawMessage, c *billing.KeyChange) string {
		n := int64(0)
		if string(raw) != "null" {
			var text string
			err := json.Unmarshal(raw, &text)
			if err == nil {
				n, err = billing.ParseUSD(text)
			}
			if err != nil || n <= 0 {
				return `is a string of dollars above zero such as "20" or "1.50"; null is no bound.`
			}
		}
		*into(c) = &n
		return ""
	}
}

// readMembers reads an object by its members. Null is every member as null.
func readMembers(raw json.RawMessage, known map[string]member, c *billing.KeyChange, example string) (fault string) {
	members := map[string]json.RawMessage{}
	if string(raw) == "null" {
		for name := range known {
			members[name] = raw
		}
	} else if json.Unmarshal(raw, &members) != nil {
		return "is an object such as " + example + "."
	}
	for name, raw := range members {
		read, is := known[name]
		if !is {
			return fmt.Sprintf("has a member %.40q that is not known here. Send one such as %s.", name, example)
		}
		if fault := read(raw, c); fault != "" {
			return fmt.Sprintf("has a fault: %q %s", name, fault)
		}
	}
	return ""
}

func faultIn(err error) string {
	var restriction *billing.RestrictionError
	if errors.As(err, &restriction) {
		return "has a fault: " + restriction.Fault
	}
	return err.Error()
}

// readKeyChange reads what a key is to be. Whatever is not understood is refused: a
// restriction that is passed over would be none. [*llm.RequestError].
func readKeyChange(c *fiber.Ctx) (change billing.KeyChange, err error) {
	body, err := rawBody(c, keyBody)
	if err != nil {
		return change, err
	}
	var members map[string]json.RawMessage
	decoder := json.NewDecoder(bytes.NewReader(body))
	if decoder.Decode(&members) != nil || members == nil || decoder.More() {
		return change, &llm.RequestError{Message: "The body is not a JSON object. Send for example " + keyExample + "."}
	}
	for name, raw := range members {
		read, is := keyMembers[name]
		if !is {
			return change, &llm.RequestError{Message: fmt.Sprintf("The body has a member %.40q that is not known here. Send for example %s.", name, keyExample)}
		}
		if fault := read(raw, &change); fault != "" {
			return change, &llm.RequestError{Param: name, Message: fmt.Sprintf("%q %s", name, fault)}
		}
	}
	return change, nil
}
