package till

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/internal/chart"
)

func TestSpans(t *testing.T) {
	t.Parallel()
	voice := english(t)
	now := time.Date(2026, 3, 1, 0, 30, 0, 0, time.FixedZone("Tokyo", 9*3600))
	for text, want := range map[string]string{
		"": "1 Mar 2026", "2026-11-20": "20 Nov 2026", " 2026-02 ": "February 2026", "7d": "7 days", "30d": "30 days",
		"2026-13": "", "2026-02-30": "", "yesterday": "", "２０２６-11-20": "", "-1": "", "2026-11-20; drop": "", "8d": "", "d": "",
	} {
		s, ok := parseSpan(text, now)
		if ok != (want != "") || ok && s.words(voice) != want {
			t.Errorf("%q is %s, %v", text, s.words(voice), ok)
		}
		if again, _ := parseSpan(s.data(), now); ok && !again.is(s) {
			t.Errorf("%q is named %q, which is %+v", text, s.data(), again)
		}
	}
	s, _ := parseSpan("2026-01-31", now)
	month, _ := parseSpan("2026-12", now)
	if s.step(1).data() != "2026-02-01" || s.step(-31).data() != "2025-12-31" || month.step(1).data() != "2027-01" {
		t.Errorf("steps %s, %s, %s", s.step(1).data(), s.step(-31).data(), month.step(1).data())
	}
	if buttons := spanButtons(voice, dayOf(now), now).InlineKeyboard; len(buttons[0]) != 3 || len(buttons[1]) != 2 {
		t.Errorf("a way into the future: %+v", buttons)
	}
}

// TestEdges: every span is covered by its parts without a gap, also on the days on which
// clocks are turned, and where a zone is off the hour.
func TestEdges(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for day := range 366 {
			now := time.Date(2026, 1, 1+day, 12, 0, 0, 0, zone)
			for _, s := range []span{dayOf(now), daysTo(now, weekDays), daysTo(now, monthDays), monthOf(now)} {
				edges := s.edges()
				for i, at := range edges {
					if i > 0 && !edges[i-1].Before(at) {
						t.Fatalf("%s: edges of %+v: %v", name, s, edges)
					}
				}
				if n := len(edges) - 1; n > chart.BarsMost || n != len(s.labels()) || !edges[0].Equal(s.from) || !edges[n].Equal(s.step(1).from) {
					t.Fatalf("%s: %d parts of %+v: %v", name, n, s, edges)
				}
			}
		}
	}
}

// TestManyModels: what there is no room for is summed up, in the text and in the chart.
func TestManyModels(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var parts []billing.Consumed
	var sum int64
	for i := range 200 {
		nano := int64(200-i) * 1_000_000
		sum += nano
		parts = append(parts, billing.Consumed{
			Part: i % 7, Model: fmt.Sprintf("模型-%d-%s", i, strings.Repeat("m", 90)),
			UsageSum: billing.UsageSum{Calls: 1, Amounts: billing.Amounts{Nano: nano}},
		})
	}
	s := daysTo(now, weekDays)
	var groups []billing.GroupSpending
	for i := range 9 {
		groups = append(groups, billing.GroupSpending{Title: strings.Repeat("群", 64), Nano: int64(9-i) * 1_230_000})
	}
	for _, code := range texts.Languages() {
		voice := book(t).Voice(code)
		text := spendingText(voice, byModels(parts), groups, s)
		if hall.UTF16Len(text) > captionRoom || !strings.Contains(text, voice.Dollars(sum)) || !strings.Contains(text, voice.Dollars(groups[0].Nano)) {
			t.Errorf("%s: %d units:\n%s", code, hall.UTF16Len(text), text)
		}
		if raw, err := spendingChart(voice, byModels(parts), parts, s); err != nil || len(raw) == 0 {
			t.Error(err)
		}
	}
	for highest, want := range map[int64]string{0: "$1", 5_000_000_000: "$1", 20_000_000: "$1", 19_999_999: "100¢", 100_000: "100¢", 99_999: "1000000µ$"} {
		if got := axisUnit(english(t), highest)(billing.NanoPerUSD); got != want {
			t.Errorf("up to %d, a dollar is %s", highest, got)
		}
	}
}
