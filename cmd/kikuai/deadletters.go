package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/telemetry"
)

// adminDeadLetters are the updates that were given up.
type adminDeadLetters struct {
	List   adminDeadList   `cmd:"" default:"withargs" help:"Show them."`
	Replay adminDeadReplay `cmd:"" help:"Put them back into the inbox."`
	Drop   adminDeadDrop   `cmd:"" help:"Forget them for good."`
}

// letters opens the dead letters; done closes what they are read by.
func (t *terminal) letters() (letters *bot.DeadLetters, done func() error, err error) {
	c, err := t.load(config.NeedRedis)
	if err != nil {
		return nil, nil, err
	}
	s, err := openRedis(c.RedisURLs.Reveal(), false, nil, telemetry.NewTextLogger(t.errs, slog.LevelWarn))
	if err != nil {
		return nil, nil, err
	}
	return bot.NewDeadLetters(s.quick), s.close, nil
}

type adminDeadList struct {
	asJSON `embed:""`
	Limit  int64 `default:"100" help:"How many, the newest first; at most 10000."`
}

func (c adminDeadList) Run(t *terminal) (err error) {
	if c.Limit < 1 || c.Limit > 10_000 {
		return errors.New("--limit is a number from 1 to 10000")
	}
	dead, done, err := t.letters()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	list, err := dead.List(t.ctx, c.Limit)
	if err != nil {
		return err
	}
	if list == nil {
		list = []bot.DeadLetter{}
	}
	rows := make([][2]string, 0, len(list))
	for _, letter := range list {
		rows = append(rows, [2]string{letter.ID, fmt.Sprintf("%s  %s  %s", letter.At.UTC().Format(time.DateTime), letter.Kind, letter.Error)})
	}
	return c.print(t.out, list, rows...)
}

type adminDeadReplay struct {
	asJSON `embed:""`
	ID     []string `arg:"" optional:"" help:"Ids as dead-letters list prints them."`
	All    bool     `help:"Replay all that can be replayed."`
}

func (c adminDeadReplay) Run(t *terminal) (err error) {
	dead, done, err := t.letters()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	ids := c.ID
	if c.All {
		list, err := dead.List(t.ctx, 10_000)
		if err != nil {
			return err
		}
		ids = nil
		for i := len(list) - 1; i >= 0; i-- { // the oldest first, as they came
			if list[i].Kind != "unreadable" {
				ids = append(ids, list[i].ID)
			}
		}
	} else if len(ids) == 0 {
		return errors.New("name the ids to replay, or --all")
	}
	replayed := 0
	for _, id := range ids {
		if err := dead.Replay(t.ctx, id); err != nil {
			return fmt.Errorf("after %d replayed: %w", replayed, err)
		}
		replayed++
	}
	if c.JSON {
		return c.print(t.out, map[string]int{"replayed": replayed})
	}
	_, err = fmt.Fprintf(t.out, "Replayed %d.\n", replayed)
	return err
}

type adminDeadDrop struct {
	asJSON `embed:""`
	ID     []string `arg:"" help:"Ids as dead-letters list prints them."`
}

func (c adminDeadDrop) Run(t *terminal) (err error) {
	dead, done, err := t.letters()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	for i, id := range c.ID {
		if err := dead.Drop(t.ctx, id); err != nil {
			return fmt.Errorf("after %d dropped: %w", i, err)
		}
	}
	if c.JSON {
		return c.print(t.out, map[string]int{"dropped": len(c.ID)})
	}
	_, err = fmt.Fprintf(t.out, "Dropped %d.\n", len(c.ID))
	return err
}
