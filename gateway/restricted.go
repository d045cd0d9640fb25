package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/kikuai/kikuai/billing"
)

// modelsNamed is how many entries of a key's list of models a sentence names.
const modelsNamed = 8

// modelList is what models a key is for, as scripts return it, with commas; "": any.
type modelList string

func (l modelList) allows(model string) bool { return billing.ModelAllowed(string(l), model) }

// sentence names the list's first entries.
func (l modelList) sentence() string {
	entries := strings.Split(string(l), ",")
	if more := len(entries) - modelsNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(entries[:modelsNamed], ", "), more)
	}
	return strings.Join(entries, ", ")
}

// What a key may be restricted by, as scripts say that it refuses.
const (
	byExpiry  = "expired"
	byAddress = "address"
	byModel   = "model"
)

// restrictedError is a call that its key may not be used for.
type restrictedError struct {
	by      string    // byExpiry, byAddress or byModel
	expired time.Time // byExpiry: when
	from    netip.Addr
	model   string
	models  modelList
}

func (e *restrictedError) Error() string { return "gateway: the key is restricted by " + e.by }

// strange says of a refusal that whoever sent the key may not be whose it is: it is none, or
// is not to be used any more, or not from there.
func strange(err error) bool {
	var restricted *restrictedError
	return errors.Is(err, errKeyUnknown) || errors.As(err, &restricted) && restricted.by != byModel
}

// restriction is what of the caller's key refuses its call, if anything does.
func (c caller) restriction(p pass) error {
	switch p.status {
	case byExpiry, byAddress, byModel:
		return &restrictedError{by: p.status, expired: time.UnixMilli(p.n).UTC(), from: c.key.From, model: c.model, models: p.models}
	}
	return nil
}

func explainRestricted(e *restrictedError) problem {
	switch e.by {
	case byExpiry:
		return problem{status: 401, code: "key_expired", kind: kindOfYou, message: fmt.Sprintf(
			"This API key expired on %s UTC. Use another, or give this one a later end with PATCH /api/v1/keys/:id; the bot makes a new one with /newkey.",
			e.expired.Format("2006-01-02 15:04:05"))}
	case byAddress:
		from := "an address that is not known"
		if e.from.IsValid() {
			from = e.from.String()
		}
		return problem{status: 403, code: "key_address_not_allowed", kind: kindOfYou, message: fmt.Sprintf(
			"This API key may not be used from %s. Call from an address in its allowed_ips, or have that one added with PATCH /api/v1/keys/:id.", from)}
	}
	return problem{status: 403, code: "key_model_not_allowed", kind: kindOfYou, param: "model", message: fmt.Sprintf(
		"This API key is for %s, and not for '%.128s'. Ask for such a model, or have this one added with PATCH /api/v1/keys/:id.", e.models.sentence(), e.model)}
}
