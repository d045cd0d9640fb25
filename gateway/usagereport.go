package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/ratelimit"
)

const (
	reportBody  = 4 << 10 // bytes
	reportRows  = 50_000
	reportIn    = 30 * time.Second
	reportCalls = "calls"
	reportDays  = "days"
	reportTime  = "2006-01-02 15:04:05"
	byteOrder   = "\ufeff" // spreadsheets take a file without it for another encoding
)

// fileSender sends files to the chats of accounts' owners.
type fileSender interface {
	// SendUsage puts a file with what was used from one day to another on its way, once
	// for each name; fresh: it was not before. billing.ErrIdempotencyConflict where the
	// name stands for another wish.
	SendUsage(ctx context.Context, r Report) (fresh bool, err error)
}

// Report is a file for an account's owner.
type Report struct {
	AccountID int64
	Name      string // of the wish, the account's own: at most 200 characters
	Wish      []byte // SHA-256 of what was asked for
	File      string // its name
	Content   []byte
	From, To  time.Time // that it covers, in the owner's zone; To is in it
	Nano      int64     // nano-USD that it sums up to
}

// reportGuard limits how many files an account is sent.
type reportGuard interface {
	// Take asks for one more of the account. [*ratelimit.ExceededError].
	Take(ctx context.Context, accountID int64) error
}

// reportWishError says that an Idempotency-Key asked for another file.
type reportWishError struct{ error }

func (e *reportWishError) Unwrap() error { return e.error }

// reportsError says that an account was sent as many files as it may be for now.
type reportsError struct{ *ratelimit.ExceededError }

func (e *reportsError) Unwrap() error { return e.ExceededError }

type reportAnswer struct {
	Queued bool   `json:"queued"`
	File   string `json:"file"`
	Rows   int    `json:"rows"`
}

// sendUsage answers POST /api/v1/usage/export/chat: a file is sent to the owner's chat.
func (s *Server) sendUsage(c *fiber.Ctx) error {
	v, err := s.owner(c)
	if err == nil && !v.Active {
		err = billing.ErrAccountInactive
	}
	if err != nil {
		return err
	}
	if s.account.Reports == nil {
		return errNoReports
	}
	members, rows, err := readReport(c)
	if err != nil {
		return err
	}
	idempotency := string(c.Request().Header.Peek(headerIdempotencyKey))
	if idempotency == "" {
		idempotency = newHoldID()
	}
	ctx, cancel := context.WithTimeout(s.base, reportIn)
	defer cancel()
	p, err := s.readSpan(ctx, viewer{Visit: v}, func(name string) string { return members[name] })
	if err != nil {
		return err
	}
	release, err := s.exporting()
	if err != nil {
		return err
	}
	defer release()
	if err := s.admitReport(ctx, v.AccountID); err != nil {
		return err
	}
	r, n, err := s.usageReport(ctx, v, p, rows)
	if err != nil {
		return err
	}
	r.Name, r.Wish = fmt.Sprintf("usage:%d:%x", v.AccountID, sha256.Sum256([]byte(idempotency))), wishOf(members, rows)
	fresh, err := s.account.Reports.SendUsage(ctx, r)
	if errors.Is(err, billing.ErrIdempotencyConflict) {
		return &reportWishError{err}
	}
	if err != nil {
		return err
	}
	c.Status(fiber.StatusAccepted)
	return c.JSON(reportAnswer{fresh, r.File, n})
}

// wishOf is what a file was asked for with, whatever the order of it.
func wishOf(members map[string]string, rows string) []byte {
	wish := maps.Clone(members)
	wish["rows"] = rows
	text, _ := json.Marshal(wish) // strings always encode, by their names' order
	sum := sha256.Sum256(text)
	return sum[:]
}

func (s *Server) admitReport(ctx context.Context, account int64) error {
	if s.account.ReportGuard == nil {
		return nil
	}
	err := s.account.ReportGuard.Take(ctx, account)
	var exceeded *ratelimit.ExceededError
	switch {
	case errors.As(err, &exceeded):
		return &reportsError{exceeded}
	case err != nil:
		return fmt.Errorf("%w: limit of files: %w", billing.ErrClosed, err)
	}
	return nil
}

// readReport reads which calls the file is about, as parameters of a span, and what its
// rows are. *llm.RequestError.
func readReport(c *fiber.Ctx) (members map[string]string, rows string, err error) {
	body, err := rawBody(c, reportBody)
	if err != nil {
		return nil, "", err
	}
	var raw map[string]json.RawMessage
	decoder := json.NewDecoder(bytes.NewReader(body))
	if decoder.Decode(&raw) != nil || raw == nil || decoder.More() {
		return nil, "", &llm.RequestError{Message: `The body is not a JSON object. Send for example {"from":"2026-11-01","to":"2026-11-30","tz":"Europe/Berlin"}.`}
	}
	members, rows = map[string]string{}, reportCalls
	for name, value := range raw {
		var text string
		var id *int64
		switch {
		case name == "key_id" && json.Unmarshal(value, &id) == nil:
			if id != nil {
				text = strconv.FormatInt(*id, 10)
			}
		case name != "from" && name != "to" && name != "tz" && name != "model" && name != "rows":
			return nil, "", &llm.RequestError{Message: fmt.Sprintf(`The body has a member %.40q that is not known here. Send "from", "to", "tz", "model", "key_id" and "rows".`, name)}
		case string(value) != "null" && json.Unmarshal(value, &text) != nil:
			return nil, "", &llm.RequestError{Param: name, Message: fmt.Sprintf("%q is a string.", name)}
		}
		members[name] = text
	}
	switch members["rows"] {
	case "", reportCalls:
	case reportDays:
		rows = reportDays
	default:
		return nil, "", &llm.RequestError{Param: "rows", Message: `"rows" is calls or days.`}
	}
	return members, rows, nil
}

// usageReport writes the file that a span's calls are told in. *llm.RequestError where they are
// too many.
func (s *Server) usageReport(ctx context.Context, v Visit, p usageSpan, rows string) (r Report, n int, err error) {
	names, err := s.keyBook.Names(ctx, v.AccountID)
	if err != nil {
		return r, 0, err
	}
	last := p.to.Add(-1)
	r = Report{AccountID: v.AccountID, From: p.from, To: last,
		File: "usage-" + p.from.Format(time.DateOnly) + "-" + last.Format(time.DateOnly) + ".csv"}
	var text bytes.Buffer
	text.WriteString(byteOrder)
	t := table{csv: csv.NewWriter(&text), zone: p.zone, names: names}
	if rows == reportDays {
		err = s.reportDays(ctx, v, p, &t)
	} else {
		err = s.reportCalls(ctx, v, p, &t)
	}
	t.csv.Flush()
	r.Content, r.Nano = text.Bytes(), t.nano
	return r, t.rows, errors.Join(err, t.csv.Error())
}

// table is a file that is being written.
type table struct {
	csv   *csv.Writer
	zone  *time.Location
	names map[int64]string
	rows  int
	nano  int64
}

func (t *table) add(nano int64, cells ...string) error {
	if t.rows++; t.rows > reportRows {
		return &llm.RequestError{Param: "from", Message: fmt.Sprintf(`The file would have more than %d rows. Shorten the range, or send "rows":"days".`, reportRows)}
	}
	t.nano += nano
	for i, cell := range cells {
		cells[i] = inert(cell)
	}
	return t.csv.Write(cells)
}

// inert is a cell that no spreadsheet takes for a formula.
func inert(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// reportCalls writes a row for each call.
func (s *Server) reportCalls(ctx context.Context, v Visit, p usageSpan, t *table) error {
	err := t.csv.Write([]string{"time (" + p.zone.String() + ")", "model", "key_id", "key", "source", "input_tokens", "cached_input_tokens",
		"output_tokens", "reasoning_tokens", "images", "audio_ms", "characters", "cost_usd", "estimated", "duration_ms", "first_token_ms"})
	if err != nil {
		return err
	}
	filter, _ := p.filter(viewer{Visit: v})
	q := billing.UsedCallsQuery{UsageFilter: filter, Oldest: true, Most: exportPage}
	for {
		calls, err := s.account.Usage.UsedCalls(ctx, q)
		if err != nil {
			return err
		}
		for _, u := range calls {
			err := t.add(u.Nano, u.At.In(t.zone).Format(reportTime), u.Model, number(u.KeyID), t.names[u.KeyID], u.Source, number(u.Prompt),
				number(u.Cached), number(u.Completion), number(u.Reasoning), number(u.Images), number(u.AudioMS), number(u.Characters),
				billing.FormatUSD(u.Nano), strconv.FormatBool(u.Estimated), number(u.DurationMS), number(u.FirstMS))
			if err != nil {
				return err
			}
			q.AfterAt, q.AfterID = u.At, u.ID
		}
		if len(calls) < q.Most {
			return nil
		}
	}
}

// reportDays writes a row for each day, model and key.
func (s *Server) reportDays(ctx context.Context, v Visit, p usageSpan, t *table) error {
	err := t.csv.Write([]string{"day (" + p.zone.String() + ")", "model", "key_id", "key", "calls", "input_tokens", "cached_input_tokens",
		"output_tokens", "reasoning_tokens", "images", "audio_ms", "characters", "cost_usd"})
	if err != nil {
		return err
	}
	filter, _ := p.filter(viewer{Visit: v})
	edges := p.days()
	list, err := s.account.Usage.Consumption(ctx, billing.ConsumptionQuery{UsageFilter: filter, Edges: edges, ByModel: true, ByKey: true, Most: reportRows + 1})
	if err != nil {
		return err
	}
	for _, u := range list {
		err := t.add(u.Nano, edges[u.Part].In(t.zone).Format(time.DateOnly), u.Model, number(u.KeyID), t.names[u.KeyID], number(u.Calls), number(u.Prompt),
			number(u.Cached), number(u.Completion), number(u.Reasoning), number(u.Images), number(u.AudioMS), number(u.Characters), billing.FormatUSD(u.Nano))
		if err != nil {
			return err
		}
	}
	return nil
}
