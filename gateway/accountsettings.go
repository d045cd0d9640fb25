package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	settingsBody    = 32 << 10 // bytes
	languageMost    = 35
	settingsExample = `{"language":"ru","time_zone":"Asia/Kolkata","show_cost":false}`
)

// settingsBook reads and changes what accounts' owners chose.
type settingsBook interface {
	Read(ctx context.Context, accountID int64) (billing.Settings, error)
	// Change lets change edit the settings, and has all instances go by them.
	Change(ctx context.Context, accountID int64, change func(*billing.Settings)) (billing.Settings, error)
}

// settingsAnswer is what an owner chose; null is the default.
type settingsAnswer struct {
	Language   *string  `json:"language"`
	Model      *string  `json:"model"`
	Favourites []string `json:"favourites"`
	Persona    *string  `json:"persona"`
	Zone       *string  `json:"time_zone"`
	ShowCost   bool     `json:"show_cost"`
	NotifyLow  bool     `json:"notify_low_balance"`
	NotifyNews bool     `json:"notify_news"`
	LongAsFile bool     `json:"long_answers_as_file"`
	Rich       bool     `json:"rich_messages"`
	Forget     *int64   `json:"forget_after_seconds"`
}

func settingsJSON(s billing.Settings) settingsAnswer {
	return settingsAnswer{optional(s.Language), optional(s.Model), append([]string{}, s.Favourites...), optional(s.Persona), optional(s.Zone),
		!s.HideCost, !s.MuteLow, !s.MuteNews, s.LongAsFile, s.Rich, above0(int64(s.ForgetAfter / time.Second))}
}

// settings answers GET /api/v1/settings.
func (s *Server) settings(c *fiber.Ctx) error {
	v, err := s.owner(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, accountIn)
	defer cancel()
	settings, err := s.account.Settings.Read(ctx, v.AccountID)
	if err != nil {
		return err
	}
	return c.JSON(settingsJSON(settings))
}

// changeSettings answers PATCH /api/v1/settings: what is sent is changed, null is the
// default.
func (s *Server) changeSettings(c *fiber.Ctx) error {
	v, err := s.owner(c)
	if err == nil && !v.Active {
		err = billing.ErrAccountInactive
	}
	if err != nil {
		return err
	}
	change, err := s.readSettings(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, accountIn)
	defer cancel()
	settings, err := s.account.Settings.Change(ctx, v.AccountID, func(to *billing.Settings) {
		for _, set := range change {
			set(to)
		}
	})
	if err != nil {
		return err
	}
	return c.JSON(settingsJSON(settings))
}

// setting reads one member of a change. The returned text says what is wrong with it.
type setting func(raw json.RawMessage) (set func(*billing.Settings), fault string)

// readSettings reads what is to be changed. *llm.RequestError.
func (s *Server) readSettings(c *fiber.Ctx) (change []func(*billing.Settings), err error) {
	body, err := rawBody(c, settingsBody)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	decoder := json.NewDecoder(bytes.NewReader(body))
	if decoder.Decode(&members) != nil || members == nil || decoder.More() {
		return nil, &llm.RequestError{Message: "The body is not a JSON object. Send for example " + settingsExample + "."}
	}
	known := s.settingMembers()
	for name, raw := range members {
		read, is := known[name]
		if !is {
			return nil, &llm.RequestError{Message: fmt.Sprintf("The body has a member %.40q that is not known here. Send for example %s.", name, settingsExample)}
		}
		set, fault := read(raw)
		if fault != "" {
			return nil, &llm.RequestError{Param: name, Message: fmt.Sprintf("%q %s", name, fault)}
		}
		change = append(change, set)
	}
	return change, nil
}

func (s *Server) settingMembers() map[string]setting {
	return map[string]setting{
		"language": textSetting(languageMost, func(to *billing.Settings) *string { return &to.Language }),
		"persona":  textSetting(billing.MaxPersona, func(to *billing.Settings) *string { return &to.Persona }),
		"model": checkedSetting(func(to *billing.Settings) *string { return &to.Model }, s.offered,
			"is a model's id, as GET /api/v1/products lists it; null is the default."),
		"time_zone": checkedSetting(func(to *billing.Settings) *string { return &to.Zone }, knownZone,
			`is an IANA name such as "Europe/Berlin"; null is UTC.`),
		"favourites":           s.favourites,
		"show_cost":            flagSetting(true, func(to *billing.Settings, on bool) { to.HideCost = !on }),
		"notify_low_balance":   flagSetting(true, func(to *billing.Settings, on bool) { to.MuteLow = !on }),
		"notify_news":          flagSetting(true, func(to *billing.Settings, on bool) { to.MuteNews = !on }),
		"long_answers_as_file": flagSetting(false, func(to *billing.Settings, on bool) { to.LongAsFile = on }),
		"rich_messages":        flagSetting(false, func(to *billing.Settings, on bool) { to.Rich = on }),
		"forget_after_seconds": forgetSetting,
	}
}

// textSetting is a text of at most so many characters; null is none.
func textSetting(most int, of func(*billing.Settings) *string) setting {
	return func(raw json.RawMessage) (func(*billing.Settings), string) {
		var text string
		if json.Unmarshal(raw, &text) != nil || len([]rune(text)) > most {
			return nil, fmt.Sprintf("is a string of at most %d characters, or null.", most)
		}
		return func(to *billing.Settings) { *of(to) = text }, ""
	}
}

// checkedSetting is a text that is known here.
func checkedSetting(of func(*billing.Settings) *string, known func(string) bool, fault string) setting {
	return func(raw json.RawMessage) (func(*billing.Settings), string) {
		var text string
		if json.Unmarshal(raw, &text) != nil || text != "" && !known(text) {
			return nil, fault
		}
		return func(to *billing.Settings) { *of(to) = text }, ""
	}
}

// offered tells whether a chat may use a model.
func (s *Server) offered(id string) bool {
	m, err := s.meter.catalogue.Model(id)
	return err == nil && m.Offers(llm.OperationChat)
}

func knownZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil && name != "Local" && len(name) <= zoneMost
}

func (s *Server) favourites(raw json.RawMessage) (func(*billing.Settings), string) {
	var models []string
	if json.Unmarshal(raw, &models) != nil || len(models) > billing.MaxFavourites {
		return nil, fmt.Sprintf("is an array of at most %d models' ids, or null.", billing.MaxFavourites)
	}
	for _, id := range models {
		if !s.offered(id) {
			return nil, fmt.Sprintf("has %.60q, which is no model that GET /api/v1/products lists for chats.", id)
		}
	}
	return func(to *billing.Settings) { to.Favourites = models }, ""
}

func flagSetting(unless bool, set func(to *billing.Settings, on bool)) setting {
	return func(raw json.RawMessage) (func(*billing.Settings), string) {
		on := unless // null leaves it as it is
		if json.Unmarshal(raw, &on) != nil {
			return nil, "is true or false, or null."
		}
		return func(to *billing.Settings) { set(to, on) }, ""
	}
}

func forgetSetting(raw json.RawMessage) (func(*billing.Settings), string) {
	var seconds int64
	if json.Unmarshal(raw, &seconds) != nil || seconds < 0 || seconds > int64(billing.MaxForgetAfter/time.Second) {
		return nil, fmt.Sprintf("is a whole number of seconds up to %d, or null.", int64(billing.MaxForgetAfter/time.Second))
	}
	return func(to *billing.Settings) { to.ForgetAfter = time.Duration(seconds) * time.Second }, ""
}
