package till

import (
	"strconv"
	"strings"
	"time"

	"github.com/kikuai/kikuai/handlers/texts"
)

const (
	dayForm   = "2006-01-02"
	monthForm = "2006-01"
	daysForm  = "d" // behind a number of days
	weekDays  = 7
	monthDays = 30
)

// span is a day, some days that end today, or a month, in the zone of its beginning.
type span struct {
	from  time.Time // midnight
	days  int       // 0: a month
	ended bool      // the days end today
}

func monthOf(t time.Time) span {
	return span{from: time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, t.Location())}
}

func dayOf(t time.Time) span { return span{from: midnight(t, 0), days: 1} }

// daysTo are that many days, the last of them that of t.
func daysTo(t time.Time, days int) span {
	return span{from: midnight(t, 1-days), days: days, ended: true}
}

// midnight is the beginning of the day that many days after that of t.
func midnight(t time.Time, days int) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day()+days, 0, 0, 0, 0, t.Location())
}

// parseSpan reads a day, a month, or 7d or 30d, in the zone of now; nothing is today.
func parseSpan(text string, now time.Time) (s span, ok bool) {
	switch text = strings.TrimSpace(text); text {
	case "":
		return dayOf(now), true
	case strconv.Itoa(weekDays) + daysForm:
		return daysTo(now, weekDays), true
	case strconv.Itoa(monthDays) + daysForm:
		return daysTo(now, monthDays), true
	}
	if day, err := time.ParseInLocation(dayForm, text, now.Location()); err == nil {
		return dayOf(day), true
	}
	month, err := time.ParseInLocation(monthForm, text, now.Location())
	return monthOf(month), err == nil
}

// is tells whether both are the same span of the same zone.
func (s span) is(other span) bool {
	return s.from.Equal(other.from) && s.days == other.days && s.ended == other.ended
}

// step is the span that many before or after.
func (s span) step(n int) span {
	if s.days == 0 {
		return monthOf(s.from.AddDate(0, n, 0))
	}
	s.from = midnight(s.from, n*s.days)
	return s
}

// data names the span to parseSpan.
func (s span) data() string {
	switch {
	case s.days == 0:
		return s.from.Format(monthForm)
	case s.ended:
		return strconv.Itoa(s.days) + daysForm
	}
	return s.from.Format(dayForm)
}

func (s span) words(voice texts.Voice) string {
	switch {
	case s.days == 0:
		return voice.Month(s.from)
	case s.ended:
		return voice.Count("spent.days", int64(s.days))
	}
	return voice.Day(s.from)
}

// edges divide a day into hours and all else into days.
func (s span) edges() (edges []time.Time) {
	end := s.step(1).from
	if s.days == 1 {
		for at := s.from; at.Before(end); at = at.Add(time.Hour) {
			edges = append(edges, at)
		}
	} else {
		for i := 0; midnight(s.from, i).Before(end); i++ {
			edges = append(edges, midnight(s.from, i))
		}
	}
	return append(edges, end)
}

// labels are what a chart writes under the parts.
func (s span) labels() []string {
	edges := s.edges()
	labels := make([]string, len(edges)-1)
	for i := range labels {
		switch at := edges[i]; {
		case s.days == 1 && at.Hour()%6 == 0:
			labels[i] = strconv.Itoa(at.Hour())
		case s.days == weekDays, s.days != 1 && i%5 == 0:
			labels[i] = at.Format("2")
		}
	}
	return labels
}
