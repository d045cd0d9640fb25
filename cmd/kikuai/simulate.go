package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/telegramsim/crowd"
)

// simulateCommand is a Telegram with a crowd of people, for any bot that is led to it by
// its Bot API address.
type simulateCommand struct {
	Webhook     string        `placeholder:"URL" help:"Where updates are delivered. Without it the bot says so itself: setWebhook, or getUpdates."`
	Secret      string        `env:"WEBHOOK_SECRET" placeholder:"WORD" help:"The secret of the webhook."`
	Connections int           `default:"40" help:"Connections to the webhook at a time, 1 to 100."`
	Listen      string        `default:"127.0.0.1:8081" help:"Where the Bot API is served: the bot's TELEGRAM_API_URL."`
	Token       string        `env:"TELEGRAM_BOT_TOKEN" default:"${simulated_token}" help:"The bot's token."`
	Chats       int           `default:"200" help:"People who write."`
	Each        int           `default:"10" help:"Messages of each."`
	Rate        float64       `default:"100" help:"Messages a second of all; 0: as fast as they can be written."`
	Answers     string        `enum:"echo,any" default:"echo" help:"echo: the bot repeats what it is told, and repeats and order are judged; any: each message of the bot answers the oldest open one."`
	Text        string        `default:"{mark}" help:"What they write; {mark} tells messages apart."`
	Wait        time.Duration `default:"2m" help:"The longest without an answer before the rest counts as lost."`

	TooMany    float64       `placeholder:"PERCENT" help:"Percentage of the bot's calls that are answered 429."`
	RetryAfter int           `default:"1" help:"Seconds that those tell."`
	BadGateway float64       `placeholder:"PERCENT" help:"Percentage of the bot's calls that are answered 502."`
	LostAnswer float64       `placeholder:"PERCENT" help:"Percentage of the bot's calls that are carried out, and their answer lost."`
	Slow       float64       `placeholder:"PERCENT" help:"Percentage of the bot's calls that are answered late."`
	SlowBy     time.Duration `default:"1s" help:"How late."`
	Duplicate  float64       `placeholder:"PERCENT" help:"Percentage of updates that are delivered again although they were acknowledged."`
	Pace       bool          `default:"true" negatable:"" help:"Answer 429 where the bot is over Telegram's pace."`
	Seed       uint64        `placeholder:"N" help:"Of the percentages: the same seed decides the same."`

	Kill   []string      `placeholder:"PID,…" help:"Processes to end now and then: ids, or files that hold one. Somebody else must start them again."`
	Every  time.Duration `default:"5s" help:"How often one of them is ended, at random."`
	Signal string        `enum:"KILL,TERM" default:"KILL" help:"The signal: KILL or TERM."`

	Rules bool `help:"Print the rules that are kept, and their sources, and end."`
	JSON  bool `name:"json" help:"Print JSON."`
}

// spareRecords are kept beside one per message: of every update the acknowledgement is looked up at the end.
const spareRecords = 10_000

var errNotKept = errors.New("something was lost or changed its place")

func (c *simulateCommand) Run(t *terminal) error {
	if c.Rules {
		return c.printRules(t)
	}
	kill, err := newKiller(c.Kill, c.Every, c.Signal)
	if err != nil {
		return err
	}
	sim, err := telegramsim.Start(telegramsim.Options{Token: c.Token, Addr: c.Listen, RecordLimit: max(c.Chats*c.Each, 0) + spareRecords})
	if err != nil {
		return err
	}
	result, err := c.run(t, sim, kill)
	if err := errors.Join(err, sim.Close()); err != nil {
		return err
	}
	result.Kills = kill.count
	if err := c.print(t, result); err != nil {
		return err
	}
	if !result.Kept() {
		return errNotKept
	}
	return nil
}

// run finds the bot and sets the crowd on it.
func (c *simulateCommand) run(t *terminal, sim *telegramsim.Server, kill *killer) (*crowd.Result, error) {
	if err := sim.SetFaults(telegramsim.Faults{
		Seed: c.Seed, TooManyPercent: c.TooMany, RetryAfter: c.RetryAfter, BadGatewayPercent: c.BadGateway, LostAnswerPercent: c.LostAnswer,
		SlowPercent: c.Slow, SlowMillis: int(c.SlowBy.Milliseconds()), DuplicatePercent: c.Duplicate, EnforcePace: c.Pace,
	}); err != nil {
		return nil, err
	}
	if c.Webhook != "" {
		if err := sim.SetWebhook(c.Webhook, c.Secret, c.Connections); err != nil {
			return nil, err
		}
	} else {
		fmt.Fprintf(t.errs, "Telegram is simulated at %s; waiting for the bot to set its webhook or to poll.\n", sim.URL())
		if _, err := sim.WaitCall(t.ctx, func(call telegramsim.Call) bool {
			return call.OK() && (call.Method == "getUpdates" || call.Method == "setWebhook" && sim.WebhookInfo().URL != "")
		}); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(t.ctx)
	var killing sync.WaitGroup
	killing.Go(func() { kill.run(ctx) })
	result, err := crowd.Run(ctx, sim, crowd.Options{
		Chats: c.Chats, Each: c.Each, Rate: c.Rate, Answers: crowd.Answers(c.Answers), Wait: c.Wait,
		Text: func(mark string) string { return strings.ReplaceAll(c.Text, "{mark}", mark) },
	})
	cancel()
	killing.Wait()
	return result, err
}

func (c *simulateCommand) print(t *terminal, result *crowd.Result) error {
	if !c.JSON {
		_, err := fmt.Fprint(t.out, result)
		return err
	}
	raw, err := json.Marshal(result)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.out, string(raw))
	return err
}

func (c *simulateCommand) printRules(t *terminal) error {
	rules := telegramsim.Rules()
	if c.JSON {
		raw, err := json.Marshal(rules)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(t.out, string(raw))
		return err
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, rule := range rules {
		fmt.Fprintf(w, "%s:\t%s\t%s\n", rule.What, rule.Value, rule.Source)
	}
	return w.Flush()
}

// killer ends processes that others start again.
type killer struct {
	targets []string
	every   time.Duration
	signal  syscall.Signal
	count   int // of signals that reached somebody
}

func newKiller(targets []string, every time.Duration, signal string) (*killer, error) {
	k := &killer{targets: targets, every: every, signal: syscall.SIGKILL}
	if signal == "TERM" {
		k.signal = syscall.SIGTERM
	}
	if every <= 0 {
		return nil, errors.New("--every must be more than nothing")
	}
	for _, target := range targets {
		if _, err := pidOf(target); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// run ends one of the targets at a time until ctx ends.
func (k *killer) run(ctx context.Context) {
	if len(k.targets) == 0 {
		return
	}
	tick := time.NewTicker(k.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		pid, err := pidOf(k.targets[rand.IntN(len(k.targets))])
		if err == nil && syscall.Kill(pid, k.signal) == nil {
			k.count++
		}
	}
}

// pidOf reads a process id, or the file that holds it.
func pidOf(target string) (int, error) {
	text := target
	if _, err := strconv.Atoi(target); err != nil {
		raw, err := os.ReadFile(target)
		if err != nil {
			return 0, fmt.Errorf("--kill: %w", err)
		}
		text = strings.TrimSpace(string(raw))
	}
	pid, err := strconv.Atoi(text)
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("--kill: %q is no process that may be ended", text)
	}
	return pid, nil
}
