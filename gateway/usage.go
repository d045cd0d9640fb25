package gateway

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

// usageRows bounds an answer.
const usageRows = 10_000

// amounts are what calls consumed and cost, as it is answered.
type amounts struct {
	Prompt     int64  `json:"input_tokens"`
	Cached     int64  `json:"cached_input_tokens"`
	CacheWrite int64  `json:"cache_write_tokens"`
	Completion int64  `json:"output_tokens"`
	Reasoning  int64  `json:"reasoning_tokens"`
	Images     int64  `json:"images"`
	AudioMS    int64  `json:"audio_ms"`
	Characters int64  `json:"characters"`
	CostNano   int64  `json:"cost_nano_usd"`
	CostUSD    string `json:"cost_usd"`
}

func amountsJSON(a billing.Amounts) amounts {
	return amounts{a.Prompt, a.Cached, a.CacheWrite, a.Completion, a.Reasoning, a.Images, a.AudioMS, a.Characters, a.Nano, billing.FormatUSD(a.Nano)}
}

// usageSum is what calls came to, as it is answered.
type usageSum struct {
	Calls     int64 `json:"calls"`
	Estimated int64 `json:"estimated_calls"`
	amounts
}

func sumJSON(s billing.UsageSum) usageSum {
	return usageSum{s.Calls, s.Estimated, amountsJSON(s.Amounts)}
}

// usageRow is a row; what it is not told apart by is left out.
type usageRow struct {
	Start   *time.Time `json:"start,omitempty"`
	End     *time.Time `json:"end,omitempty"`
	Model   *string    `json:"model,omitempty"`
	KeyID   *int64     `json:"key_id,omitempty"`
	KeyName *string    `json:"key_name,omitempty"`
	usageSum
}

// spanAnswer is the span that an answer is about.
type spanAnswer struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Zone string    `json:"tz"`
}

func (p usageSpan) answer() spanAnswer { return spanAnswer{p.from, p.to, p.zone.String()} }

type usageAnswer struct {
	spanAnswer
	Model   *string     `json:"model"`
	KeyID   *int64      `json:"key_id"`
	Total   usageSum    `json:"total"`
	GroupBy []string    `json:"group_by"`
	Rows    *[]usageRow `json:"rows,omitempty"`
}

// usage answers GET /api/v1/usage.
func (s *Server) usage(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(s.base, accountIn)
	defer cancel()
	v, p, err := s.openSpan(ctx, c)
	if err != nil {
		return err
	}
	g, err := readGrouping(c, p)
	if err != nil {
		return err
	}
	answer, err := s.consumed(ctx, v, p, g)
	if err != nil {
		return err
	}
	return c.JSON(answer)
}

// consumed is what a span came to. *llm.RequestError where it has too many rows.
func (s *Server) consumed(ctx context.Context, v viewer, p usageSpan, g grouping) (answer usageAnswer, err error) {
	answer = usageAnswer{spanAnswer: p.answer(), Model: optional(p.model), KeyID: p.key, GroupBy: append([]string{}, g...)}
	var list []billing.Consumed
	edges := g.edges(p)
	if filter, visible := p.filter(v); visible {
		list, err = s.account.Usage.Consumption(ctx, billing.ConsumptionQuery{
			UsageFilter: filter, Edges: edges, ByModel: g.has(groupModel), ByKey: g.has(groupKey), Most: usageRows + 1})
	}
	if err != nil {
		return answer, err
	}
	if len(list) > usageRows {
		return answer, &llm.RequestError{Param: "group_by", Message: fmt.Sprintf("The answer has more than %d rows. Shorten the range, or group by less.", usageRows)}
	}
	var total billing.UsageSum
	for _, row := range list {
		total.Add(row.UsageSum)
	}
	answer.Total = sumJSON(total)
	if len(g) == 0 {
		return answer, nil
	}
	names := map[int64]string{}
	if g.has(groupKey) {
		if names, err = s.keyBook.Names(ctx, v.AccountID); err != nil {
			return answer, err
		}
	}
	rows := make([]usageRow, 0, len(list))
	for _, row := range list {
		rows = append(rows, g.row(row, edges, p.zone, names))
	}
	answer.Rows = &rows
	return answer, nil
}

// row is a row as it is answered.
func (g grouping) row(of billing.Consumed, edges []time.Time, zone *time.Location, names map[int64]string) usageRow {
	row := usageRow{usageSum: sumJSON(of.UsageSum)}
	if g.has(groupDay) || g.has(groupHour) {
		start, end := edges[of.Part].In(zone), edges[of.Part+1].In(zone)
		row.Start, row.End = &start, &end
	}
	if g.has(groupModel) {
		row.Model = &of.Model
	}
	if g.has(groupKey) {
		row.KeyID, row.KeyName = &of.KeyID, optional(names[of.KeyID])
	}
	return row
}

// callAnswer is a call as it is answered.
type callAnswer struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Model  string    `json:"model"`
	KeyID  int64     `json:"key_id"`
	Source string    `json:"source"`
	amounts
	Estimated  bool  `json:"estimated"`
	DurationMS int64 `json:"duration_ms"`
	FirstMS    int64 `json:"first_token_ms"`
}

func callJSON(u billing.UsedCall) callAnswer {
	return callAnswer{u.ID, u.At.UTC(), u.Model, u.KeyID, u.Source, amountsJSON(u.Amounts), u.Estimated, u.DurationMS, u.FirstMS}
}

type callsAnswer struct {
	spanAnswer
	Calls      []callAnswer `json:"calls"`
	NextCursor *string      `json:"next_cursor"`
}

// usageCalls answers GET /api/v1/usage/calls.
func (s *Server) usageCalls(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(s.base, accountIn)
	defer cancel()
	v, p, err := s.openSpan(ctx, c)
	if err != nil {
		return err
	}
	most, err := readLimit(c)
	if err != nil {
		return err
	}
	answer, err := s.callsPage(ctx, v, p, most, query(c, "cursor"))
	if err != nil {
		return err
	}
	return c.JSON(answer)
}

// callsPage is a page of a span's calls. errNoCursor.
func (s *Server) callsPage(ctx context.Context, v viewer, p usageSpan, most int, cursor string) (answer callsAnswer, err error) {
	answer = callsAnswer{spanAnswer: p.answer(), Calls: []callAnswer{}}
	question := "calls " + p.question()
	position, err := s.openCursor(cursor, v.AccountID, question)
	if err != nil {
		return answer, err
	}
	q := billing.UsedCallsQuery{Most: most + 1}
	if q.AfterAt, q.AfterID, err = readPosition(position); err != nil {
		return answer, err
	}
	filter, visible := p.filter(v)
	if !visible {
		return answer, nil
	}
	q.UsageFilter = filter
	calls, err := s.account.Usage.UsedCalls(ctx, q)
	if err != nil {
		return answer, err
	}
	if len(calls) > most {
		calls = calls[:most]
		answer.NextCursor = s.cursorOf(v.AccountID, question, positionOf(calls[most-1]))
	}
	for _, call := range calls {
		answer.Calls = append(answer.Calls, callJSON(call))
	}
	return answer, nil
}

// positionOf is where a page that ends with the call ends.
func positionOf(last billing.UsedCall) string {
	return fmt.Sprintf("%d-%d", last.At.UnixMicro(), last.ID)
}

func readPosition(position string) (at time.Time, id int64, err error) {
	if position == "" {
		return at, 0, nil
	}
	micros, after, _ := strings.Cut(position, "-")
	us, wrong := strconv.ParseInt(micros, 10, 64)
	id, err = strconv.ParseInt(after, 10, 64)
	if wrong != nil || err != nil {
		return at, 0, errNoCursor // ours, but of another form
	}
	return time.UnixMicro(us), id, nil
}
