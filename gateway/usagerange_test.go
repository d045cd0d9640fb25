package gateway

import (
	"testing"
	"time"
)

// Where clocks do what calendars do not expect: half hours, three quarters, midnights that
// come twice or not at all, a day left out.
var oddZones = []string{
	"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns",
	"Africa/Cairo", "America/Havana", "America/Asuncion", "America/Sao_Paulo", "Pacific/Apia", "Pacific/Chatham", "Asia/Beirut", "Asia/Tehran",
}

// A day starts at the first moment at which clocks show it.
func TestDayStart(t *testing.T) {
	for _, name := range oddZones {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, year := range []int{2011, 2018, 2026} {
			for day := range 366 {
				want := time.Date(year, 1, 1+day, 0, 0, 0, 0, time.UTC)
				got := dayStart(year, 1, 1+day, zone)
				shows := func(at time.Time) bool { // that day or a later one
					y, m, d := at.In(zone).Date()
					return !time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Before(want)
				}
				if !shows(got) || shows(got.Add(-time.Nanosecond)) {
					t.Fatalf("%s: %s begins at %s", name, want.Format(time.DateOnly), got)
				}
			}
		}
	}
}

// Days and hours cover a span without a gap, each as clocks show them.
func TestSpanEdges(t *testing.T) {
	for _, name := range oddZones {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for month := range 24 {
			p := usageSpan{zone: zone, from: dayStart(2025, time.Month(1+month), 1, zone), to: dayStart(2025, time.Month(2+month), 1, zone)}
			if month%3 == 0 { // in the midst of a day, and of an hour
				p.from, p.to = p.from.Add(7*time.Hour+13*time.Minute), p.to.Add(-35*time.Minute)
			}
			for kind, edges := range map[string][]time.Time{"days": p.days(), "hours": p.hours()} {
				last := len(edges) - 1
				if !edges[0].Equal(p.from) || !edges[last].Equal(p.to) {
					t.Fatalf("%s: %s of %v are from %s to %s", name, kind, p, edges[0], edges[last])
				}
				for i := 1; i <= last; i++ {
					length := edges[i].Sub(edges[i-1])
					if length <= 0 || kind == "days" && length > 26*time.Hour || kind == "hours" && length > 2*time.Hour {
						t.Fatalf("%s: from %s to %s are %s", name, edges[i-1], edges[i], length)
					}
					if at := edges[i].In(zone); i < last && kind == "hours" && at.Minute() != 0 && at.Minute() != 30 {
						t.Fatalf("%s: an hour begins at %s", name, at)
					}
				}
			}
		}
	}
	berlin, _ := time.LoadLocation("Europe/Berlin")
	spring := usageSpan{zone: berlin, from: dayStart(2026, 3, 29, berlin), to: dayStart(2026, 3, 30, berlin)}
	autumn := usageSpan{zone: berlin, from: dayStart(2026, 10, 25, berlin), to: dayStart(2026, 10, 26, berlin)}
	if a, b := len(spring.hours())-1, len(autumn.hours())-1; a != 23 || b != 25 {
		t.Errorf("%d hours in spring, %d in autumn", a, b)
	}
}
