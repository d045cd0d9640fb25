package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/outbox"
)

// adminBroadcast is about messages to many.
type adminBroadcast struct {
	Start  adminBroadcastStart  `cmd:"" help:"Send a message to everybody who came to the bot, or to some; running servers do it, 25 a second together."`
	List   adminBroadcastList   `cmd:"" help:"The newest broadcasts and how far they have come."`
	Show   adminBroadcastShow   `cmd:"" help:"How far one has come."`
	Pause  adminBroadcastPause  `cmd:"" help:"Let no more messages of it go."`
	Resume adminBroadcastResume `cmd:"" help:"Go on with one that is paused."`
	Cancel adminBroadcastCancel `cmd:"" help:"End one before everybody got it."`
}

const broadcastTextMost = 16 << 10 // bytes

type adminBroadcastStart struct {
	asJSON         `embed:""`
	Text           string `xor:"text" required:"" help:"What is sent."`
	TextFile       string `xor:"text" required:"" type:"path" placeholder:"FILE" help:"A file with what is sent; - is the standard input."`
	Language       string `placeholder:"ru" help:"Only to those whose Telegram is in this language, its variants included."`
	ActiveDays     int    `placeholder:"N" help:"Only to those who used a model in so many days."`
	IdempotencyKey string `required:"" placeholder:"K" help:"A second broadcast of this name is the first."`
}

func (c adminBroadcastStart) Run(t *terminal) error {
	text, err := c.words()
	if err != nil {
		return err
	}
	if c.ActiveDays < 0 || c.ActiveDays > 365 {
		return errors.New("--active-days is from 1 to 365")
	}
	audience := outbox.Audience{Language: strings.ToLower(c.Language)}
	if c.ActiveDays > 0 {
		audience.Since = time.Now().Add(-time.Duration(c.ActiveDays) * 24 * time.Hour).UTC().Truncate(time.Second)
	}
	return t.inOffice(func(o *office) error {
		people, err := o.Accounts.CountReach(t.ctx, billing.Reach{Language: audience.Language, Since: audience.Since})
		if err != nil {
			return err
		}
		if people == 0 {
			return errors.New("nobody is like that: nothing was started")
		}
		box := outbox.New(o.pool)
		b, _, err := box.Start(t.ctx, outbox.Broadcast{
			Name: "admin:" + c.IdempotencyKey, Message: bot.Message{Text: text}, Audience: audience, StartedBy: string(operator()),
		})
		if errors.Is(err, outbox.ErrBroadcastName) {
			return errors.New("--idempotency-key names a broadcast with other words")
		}
		if err != nil {
			return err
		}
		return showBroadcast(t, c.asJSON, box, b.ID)
	})
}

func (c adminBroadcastStart) words() (string, error) {
	text := c.Text
	if c.TextFile != "" {
		file := os.Stdin
		if c.TextFile != "-" {
			var err error
			if file, err = os.Open(c.TextFile); err != nil {
				return "", err
			}
			defer file.Close()
		}
		raw, err := io.ReadAll(io.LimitReader(file, broadcastTextMost+1))
		if err != nil {
			return "", err
		}
		text = string(raw)
	}
	text = strings.TrimSpace(text)
	if text == "" || len(text) > broadcastTextMost {
		return "", fmt.Errorf("a broadcast is 1 to %d bytes of text", broadcastTextMost)
	}
	return text, nil
}

type broadcastAnswer struct {
	ID        int64  `json:"broadcast_id"`
	Name      string `json:"name"`
	State     string `json:"state"`
	StartedBy string `json:"started_by"`
	Language  string `json:"language,omitempty"`
	Since     string `json:"active_since,omitempty"`
	CreatedAt string `json:"created_at"`
	EndedAt   string `json:"ended_at,omitempty"`
	Filled    bool   `json:"filled"` // all of its audience is counted
	Total     int64  `json:"total"`
	Waiting   int64  `json:"waiting"`
	Sent      int64  `json:"sent"`
	Blocked   int64  `json:"blocked"`
	Failed    int64  `json:"failed"`
	Cancelled int64  `json:"cancelled"`
	Repeated  int64  `json:"repeated"` // of those sent, may have come more than once
}

func broadcastJSON(p outbox.Progress) broadcastAnswer {
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return broadcastAnswer{
		ID: p.ID, Name: p.Name, State: p.State, StartedBy: p.StartedBy, Language: p.Audience.Language, Since: moment(p.Audience.Since),
		CreatedAt: moment(p.CreatedAt), EndedAt: moment(p.EndedAt), Filled: p.Filled, Total: p.Total, Waiting: p.Waiting,
		Sent: p.Sent, Blocked: p.Blocked, Failed: p.Failed, Cancelled: p.Cancelled, Repeated: p.Repeated,
	}
}

func showBroadcast(t *terminal, as asJSON, box *outbox.Outbox, id int64) error {
	p, err := box.Progress(t.ctx, id)
	if err != nil {
		return err
	}
	a := broadcastJSON(p)
	total := decimal(a.Total)
	if !a.Filled {
		total += " so far"
	}
	return as.print(t.out, a,
		[2]string{"broadcast", decimal(a.ID)}, [2]string{"name", a.Name}, [2]string{"state", a.State}, [2]string{"started by", a.StartedBy},
		[2]string{"people", total}, [2]string{"waiting", decimal(a.Waiting)}, [2]string{"sent", decimal(a.Sent)},
		[2]string{"out of reach", decimal(a.Blocked)}, [2]string{"refused", decimal(a.Failed)},
		[2]string{"cancelled", decimal(a.Cancelled)}, [2]string{"perhaps twice", decimal(a.Repeated)})
}

type adminBroadcastList struct {
	asJSON `embed:""`
}

func (c adminBroadcastList) Run(t *terminal) error {
	return t.inOffice(func(o *office) error {
		list, err := outbox.New(o.pool).Broadcasts(t.ctx)
		if err != nil {
			return err
		}
		answers := make([]broadcastAnswer, len(list))
		for i, p := range list {
			answers[i] = broadcastJSON(p)
		}
		if c.JSON {
			return c.print(t.out, map[string]any{"broadcasts": answers})
		}
		table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "BROADCAST\tNAME\tSTATE\tPEOPLE\tSENT\tOUT OF REACH\tREFUSED\tSTARTED")
		for _, a := range answers {
			fmt.Fprintf(table, "%d\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", a.ID, a.Name, a.State, a.Total, a.Sent, a.Blocked, a.Failed, a.CreatedAt)
		}
		return table.Flush()
	})
}

type broadcastNumber struct {
	ID int64 `arg:"" name:"broadcast" help:"Its number."`
}

type adminBroadcastShow struct {
	broadcastNumber `embed:""`
	asJSON          `embed:""`
}

type adminBroadcastPause struct {
	broadcastNumber `embed:""`
	asJSON          `embed:""`
}

type adminBroadcastResume struct {
	broadcastNumber `embed:""`
	asJSON          `embed:""`
}

type adminBroadcastCancel struct {
	broadcastNumber `embed:""`
	asJSON          `embed:""`
}

func (c adminBroadcastShow) Run(t *terminal) error {
	return t.inOffice(func(o *office) error { return showBroadcast(t, c.asJSON, outbox.New(o.pool), c.ID) })
}

func (c adminBroadcastPause) Run(t *terminal) error {
	return t.setBroadcast(c.ID, outbox.Paused, c.asJSON)
}

func (c adminBroadcastResume) Run(t *terminal) error {
	return t.setBroadcast(c.ID, outbox.Running, c.asJSON)
}

func (c adminBroadcastCancel) Run(t *terminal) error {
	return t.setBroadcast(c.ID, outbox.Cancelled, c.asJSON)
}

func (t *terminal) setBroadcast(id int64, state string, as asJSON) error {
	return t.inOffice(func(o *office) error {
		box := outbox.New(o.pool)
		if err := box.Set(t.ctx, id, state); err != nil {
			return err
		}
		return showBroadcast(t, as, box, id)
	})
}
