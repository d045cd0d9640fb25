package people

import (
	"strconv"
	"strings"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
)

// setting is something to choose, as one person sees it.
type setting struct {
	name    string // in buttons
	key     string // of what it is called
	help    string // key of the text over its choices; "": there are two, and a press changes it
	columns int    // of choices
	choices []choice
	now     string // the value that holds
	set     func(to *billing.Settings, value string)
}

// choice is a value with what it is called.
type choice struct{ value, label string }

func (s setting) has(value string) bool {
	for _, c := range s.choices {
		if c.value == value {
			return true
		}
	}
	return false
}

// label is what the value is called that holds; one that no button has is told as it is.
func (s setting) label() string {
	for _, c := range s.choices {
		if c.value == s.now {
			return c.label
		}
	}
	return s.now
}

// other is the value that a press changes a setting of two to.
func (s setting) other() (string, bool) {
	if s.help != "" {
		return "", false
	}
	for _, c := range s.choices {
		if c.value != s.now {
			return c.value, true
		}
	}
	return "", false
}

// Values of settings that are on or off.
const (
	valueOn  = "on"
	valueOff = "off"
)

// settingsOffered are the settings of whom a request is from.
func (r *Room) settingsOffered(q hall.Request) []setting {
	s, v := q.Settings, q.Voice
	return []setting{
		{name: "language", key: "settings.language", help: "settings.language_help", columns: 2,
			choices: r.languageChoices(v), now: s.Language, set: func(to *billing.Settings, value string) { to.Language = value }},
		{name: "zone", key: "settings.zone", help: "settings.zone_help", columns: 2,
			choices: zoneChoices(s.Zone, r.Now()), now: s.Zone, set: func(to *billing.Settings, value string) { to.Zone = value }},
		onOff(v, "cost", "settings.cost", !s.HideCost, func(to *billing.Settings, on bool) { to.HideCost = !on }),
		{name: "long", key: "settings.long", choices: []choice{
			{valueOff, v.Say("settings.as_messages")}, {valueOn, v.Say("settings.as_file")},
		}, now: valueOf(s.LongAsFile), set: func(to *billing.Settings, value string) { to.LongAsFile = value == valueOn }},
		onOff(v, "rich", "settings.rich", s.Rich, func(to *billing.Settings, on bool) { to.Rich = on }),
		{name: "forget", key: "settings.forget", help: "settings.forget_help", columns: 2,
			choices: forgetChoices(v), now: secondsOf(s.ForgetAfter), set: setForgetAfter},
		onOff(v, "low", "settings.low", !s.MuteLow, func(to *billing.Settings, on bool) { to.MuteLow = !on }),
		onOff(v, "news", "settings.news", !s.MuteNews, func(to *billing.Settings, on bool) { to.MuteNews = !on }),
	}
}

func valueOf(on bool) string {
	if on {
		return valueOn
	}
	return valueOff
}

func onOff(v texts.Voice, name, key string, on bool, set func(*billing.Settings, bool)) setting {
	return setting{name: name, key: key, now: valueOf(on),
		choices: []choice{{valueOn, v.Say("settings.on")}, {valueOff, v.Say("settings.off")}},
		set:     func(to *billing.Settings, value string) { set(to, value == valueOn) }}
}

// languageChoices are the languages by their own names.
func (r *Room) languageChoices(v texts.Voice) []choice {
	choices := []choice{{"", v.Say("settings.as_telegram")}}
	for _, code := range texts.Languages() {
		choices = append(choices, choice{code, r.Texts.Voice(code).Say("settings.own_name")})
	}
	return choices
}

// forgetTimes are how long conversations are remembered; the house's own is the default.
func forgetTimes() []time.Duration {
	return []time.Duration{time.Hour, 24 * time.Hour, hall.TurnsLife, billing.MaxForgetAfter}
}

func forgetChoices(v texts.Voice) (choices []choice) {
	for _, after := range forgetTimes() {
		value := secondsOf(after)
		if after == hall.TurnsLife {
			value = secondsOf(0)
		}
		choices = append(choices, choice{value, hall.InWords(v, after)})
	}
	return choices
}

func secondsOf(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

func setForgetAfter(to *billing.Settings, value string) {
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err == nil { // it is one of the choices
		to.ForgetAfter = time.Duration(seconds) * time.Second
	}
}

// zones are those with a button, from west to east.
func zones() []string {
	return []string{
		"", "America/Los_Angeles", "America/Denver", "America/Mexico_City", "America/Chicago", "America/Bogota", "America/New_York",
		"America/Argentina/Buenos_Aires", "America/Sao_Paulo", "Europe/Lisbon", "Europe/London", "Africa/Lagos", "Europe/Madrid",
		"Europe/Berlin", "Africa/Cairo", "Europe/Kyiv", "Europe/Istanbul", "Europe/Moscow", "Asia/Riyadh", "Asia/Dubai", "Asia/Karachi",
		"Asia/Almaty", "Asia/Kolkata", "Asia/Bangkok", "Asia/Shanghai", "Asia/Singapore", "Asia/Tokyo", "Australia/Sydney",
	}
}

// zoneChoices are zones to choose from, and the person's own if it is none of them.
func zoneChoices(own string, now time.Time) (choices []choice) {
	listed := false
	for _, name := range zones() {
		choices = append(choices, choice{name, zoneLabel(name, now)})
		listed = listed || name == own
	}
	if !listed {
		choices = append(choices, choice{own, zoneLabel(own, now)})
	}
	return choices
}

// zoneLabel is a zone's city with the difference of its time to UTC: "Tokyo +09:00".
func zoneLabel(name string, now time.Time) string {
	if name == "" {
		return "UTC"
	}
	city := name[strings.LastIndexByte(name, '/')+1:]
	return strings.ReplaceAll(city, "_", " ") + " " + now.In(billing.Settings{Zone: name}.Location()).Format("-07:00")
}
