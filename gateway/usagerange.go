package gateway

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	rangeMost  = 400 // days
	hoursMost  = 31  // days of a range by hours
	daysBefore = 29  // that a range begins before the day of its end
	zoneMost   = 64  // bytes
	modelMost  = 128
	yearLeast  = 2000
	yearMost   = 2200
	// dayLast is the longest that clocks are put back by, in a range of so many days.
	dayLast = 2 * time.Hour

	groupDay   = "day"
	groupHour  = "hour"
	groupModel = "model"
	groupKey   = "key"
)

// usageSpan is which of an account's calls a request is about.
type usageSpan struct {
	from, to time.Time // in the zone; to is not in it
	zone     *time.Location
	model    string
	key      *int64
}

// filter is the span for the books, as the viewer may see it.
func (p usageSpan) filter(v viewer) (f billing.UsageFilter, visible bool) {
	f = billing.UsageFilter{AccountID: v.AccountID, From: p.from, To: p.to, Model: p.model, KeyID: p.key}
	if v.own != nil {
		visible = p.key == nil || *p.key == *v.own
		f.KeyID = v.own
		return f, visible
	}
	return f, true
}

// question names the span to a cursor.
func (p usageSpan) question() string {
	key := "any"
	if p.key != nil {
		key = strconv.FormatInt(*p.key, 10)
	}
	return p.model + " " + key
}

// openSpan authenticates a request for what an account's calls came to, and reads which of
// them it is about. *llm.RequestError.
func (s *Server) openSpan(ctx context.Context, c *fiber.Ctx) (v viewer, p usageSpan, err error) {
	if v, err = s.viewer(c); err == nil {
		p, err = s.readSpan(ctx, v, func(name string) string { return query(c, name) })
	}
	return v, p, err
}

// readSpan reads the span that a request's parameters name. *llm.RequestError.
func (s *Server) readSpan(ctx context.Context, v viewer, parameter func(name string) string) (p usageSpan, err error) {
	if p.zone, err = s.readZone(ctx, v.AccountID, parameter("tz")); err != nil {
		return p, err
	}
	if p.model = parameter("model"); len(p.model) > modelMost {
		return p, &llm.RequestError{Param: "model", Message: `"model" is a model's id, as GET /v1/models lists it.`}
	}
	if text := parameter("key_id"); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 0 {
			return p, &llm.RequestError{Param: "key_id", Message: `"key_id" is a key's id, as GET /api/v1/keys lists it, or 0 for chats.`}
		}
		p.key = &id
	}
	year, month, day := s.now().In(p.zone).Date()
	p.to = dayStart(year, month, day+1, p.zone) // whole days cost the books the least
	if text := parameter("to"); text != "" {
		if p.to, err = readMoment("to", text, p.zone, 1); err != nil {
			return p, err
		}
	}
	year, month, day = p.to.Add(-1).Date()
	p.from = dayStart(year, month, day-daysBefore, p.zone)
	if text := parameter("from"); text != "" {
		if p.from, err = readMoment("from", text, p.zone, 0); err != nil {
			return p, err
		}
	}
	switch {
	case !p.from.Before(p.to):
		return p, &llm.RequestError{Param: "from", Message: fmt.Sprintf(`"from" is %s and not before "to", which is %s.`, p.from.Format(time.RFC3339), p.to.Format(time.RFC3339))}
	case p.to.Sub(p.from) > rangeMost*24*time.Hour+dayLast:
		return p, &llm.RequestError{Param: "from", Message: fmt.Sprintf("The range is %d days, and may be %d. Ask for it in parts.", int(p.to.Sub(p.from).Hours()/24), rangeMost)}
	}
	return p, nil
}

// readZone is the time zone of a name; without one, what the account's owner chose.
func (s *Server) readZone(ctx context.Context, account int64, name string) (*time.Location, error) {
	if name == "" {
		settings, err := s.account.Settings.Read(ctx, account)
		if err != nil {
			return nil, err
		}
		return settings.Location(), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || len(name) > zoneMost || name == "Local" {
		return nil, &llm.RequestError{Param: "tz", Message: fmt.Sprintf(`"tz" is %.64q, which is no time zone that is known here. Send an IANA name such as "Europe/Berlin" or "Asia/Kolkata".`, name)}
	}
	return zone, nil
}

// readMoment reads a moment, or a day of the zone: its start, or that of the day so many
// days later. *llm.RequestError.
func readMoment(name, text string, zone *time.Location, later int) (at time.Time, err error) {
	if day, wrong := time.Parse(time.DateOnly, text); wrong == nil {
		at = dayStart(day.Year(), day.Month(), day.Day()+later, zone)
	} else {
		// A plus sign that was not escaped has come as a space.
		at, err = time.Parse(time.RFC3339, strings.Replace(text, " ", "+", 1))
	}
	if err != nil || at.Year() < yearLeast || at.Year() > yearMost {
		return at, &llm.RequestError{Param: name, Message: fmt.Sprintf(`%q is a day such as 2026-11-01 or a moment such as 2026-11-01T12:00:00Z.`, name)}
	}
	return at.Truncate(time.Microsecond).In(zone), nil
}

// dayStart is the first moment of a day in a zone, also where clocks are turned at
// midnight, so that it comes twice or not at all; of a day that a zone has left out, it is
// that of the next one.
func dayStart(year int, month time.Month, day int, zone *time.Location) time.Time {
	begin := time.Date(year, month, day, 0, 0, 0, 0, time.UTC) // as clocks there show it
	at := time.Date(year, month, day-1, 12, 0, 0, 0, zone)
	for {
		_, offset := at.Zone()
		midnight := begin.Add(-time.Duration(offset) * time.Second)
		_, turned := at.ZoneBounds()
		if turned.IsZero() || midnight.Before(turned) {
			return midnight.In(zone)
		}
		at = turned.In(zone)
		if shown := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC); !shown.Before(begin) {
			return at
		}
	}
}

// days are the beginning of the span, those of the days within it, and its end.
func (p usageSpan) days() []time.Time {
	edges := []time.Time{p.from}
	year, month, day := p.from.Date()
	for n := 1; ; n++ {
		at := dayStart(year, month, day+n, p.zone)
		if !at.Before(p.to) {
			return append(edges, p.to)
		}
		if at.After(edges[len(edges)-1]) {
			edges = append(edges, at)
		}
	}
}

// hours are likewise the hours that clocks in the zone show.
func (p usageSpan) hours() []time.Time {
	edges := []time.Time{p.from}
	for at := p.from; ; {
		_, offset := at.Zone()
		past := time.Duration((at.Unix()+int64(offset))%3600)*time.Second + time.Duration(at.Nanosecond())
		next := at.Add(time.Hour - past)
		if _, turned := at.ZoneBounds(); !turned.IsZero() && turned.Before(next) {
			at = turned.In(p.zone)
			continue
		}
		if !next.Before(p.to) {
			return append(edges, p.to)
		}
		edges, at = append(edges, next), next.In(p.zone)
	}
}

// grouping is what the rows of an answer are told apart by.
type grouping []string

// readGrouping reads "day,model". *llm.RequestError.
func readGrouping(c *fiber.Ctx, p usageSpan) (g grouping, err error) {
	detailed, err := readFlag(c, "include_details", false)
	if err != nil {
		return nil, err
	}
	text := query(c, "group_by")
	if text == "" && detailed {
		text = groupDay
	}
	return groupingOf(text, p)
}

// groupingOf is the grouping that a text names; "": none. *llm.RequestError.
func groupingOf(text string, p usageSpan) (g grouping, err error) {
	if text == "" {
		return nil, nil
	}
	g = strings.Split(text, ",")
	seen := map[string]bool{}
	for _, by := range g {
		if seen[by] || !slices.Contains([]string{groupDay, groupHour, groupModel, groupKey}, by) {
			return nil, &llm.RequestError{Param: "group_by", Message: `"group_by" is day or hour, model, key, or some of them with commas, such as "day,model".`}
		}
		seen[by] = true
	}
	switch {
	case seen[groupDay] && seen[groupHour]:
		return nil, &llm.RequestError{Param: "group_by", Message: `"group_by" is by day or by hour, not by both.`}
	case seen[groupHour] && p.to.Sub(p.from) > hoursMost*24*time.Hour+dayLast:
		return nil, &llm.RequestError{Param: "group_by", Message: fmt.Sprintf("By hour, a range is at most %d days. Shorten it, or group by day.", hoursMost)}
	}
	return g, nil
}

func (g grouping) has(by string) bool { return slices.Contains(g, by) }

// edges are those of the rows' times.
func (g grouping) edges(p usageSpan) []time.Time {
	switch {
	case g.has(groupDay):
		return p.days()
	case g.has(groupHour):
		return p.hours()
	}
	return []time.Time{p.from, p.to}
}
