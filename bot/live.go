package bot

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot/format"
)

const (
	frameEvery      = 700 * time.Millisecond
	groupFrameEvery = 3 * time.Second        // twenty messages a minute, finals included
	frameRetry      = 250 * time.Millisecond // after a frame that had to give way
	frameTimeout    = 3 * time.Second        // of one frame's call
	draftLife       = 20 * time.Second       // a draft is repeated before its 30 s are over
	typingLife      = 4 * time.Second        // a typing notice is repeated before its 5 s are over
	draftGrace      = time.Second            // how long a final message waits for a draft on its way
)

// Live shows an answer while it is being written: as a draft in a private chat, as a
// message that is edited in a group. Frames never hold up what must arrive: they give
// way to messages into the same chat, to Telegram's pace and to its 429s, and one that
// is overtaken by a newer is never sent.
//
// A Live ends with Finish or Close; each may be called after the other.
type Live struct {
	s     *Sender
	o     LiveOptions
	draft int // id of the draft, the same for all frames

	mu   sync.Mutex
	text string        // newest frame
	gone bool          // the chat cannot be reached
	wake chan struct{} // of capacity 1: text has changed

	stop   chan struct{} // closed when no more frames are wanted
	once   sync.Once
	cancel context.CancelFunc // of a frame on its way
	done   chan struct{}      // closed when the loop has ended

	message int // the frame message in a group; of the loop, and readable after done
}

// LiveOptions say where an answer is shown while it is being written.
type LiveOptions struct {
	ChatID   int64
	ThreadID int  // topic; 0 for none
	Private  bool // a chat with one person, where drafts can be shown; Telegram puts a Stop button there
	// Keyboard goes under the frames in a group, where Telegram has no Stop button of its
	// own; nil: there is none.
	Keyboard *models.InlineKeyboardMarkup
	DraftID  int // by which a stop names the answer; 0: one by chance
	ReplyTo  int // the message that a frame in a group answers; 0 for none
	// Render makes of the answer so far, broken off anywhere, what is shown; nil: it is
	// shown as it is.
	Render func(answer string) format.Text
}

// Live begins to show an answer in a chat: "Thinking…" in a private chat, "typing" in a
// group.
func (s *Sender) Live(o LiveOptions) *Live {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Live{
		s: s, o: o, draft: o.DraftID,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), cancel: cancel, done: make(chan struct{}),
	}
	if l.draft == 0 {
		l.draft = 1 + rand.IntN(math.MaxInt32-1)
	}
	go l.loop(ctx)
	return l
}

// Draft is the id that a stopped_message_generation update names this answer by.
func (l *Live) Draft() int { return l.draft }

// Update makes text, the whole answer so far, the next frame. It never waits. Its error
// is nil, or [ErrBlocked] once it is known that nobody sees the answer.
func (l *Live) Update(text string) error {
	l.mu.Lock()
	if l.text != "" && l.text != text {
		select {
		case <-l.wake:
			l.s.frames.WithLabelValues("replaced").Inc()
		default:
		}
	}
	l.text = text
	gone := l.gone
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	if gone {
		return ErrBlocked
	}
	return nil
}

// Finish ends the frames and sends the final message, in parts if it must. In a group
// its first part takes the place of the frames. m's chat and topic are the Live's where
// m leaves them out.
func (l *Live) Finish(ctx context.Context, m Message) error {
	if m.ChatID == 0 {
		m.ChatID, m.ThreadID = l.o.ChatID, l.o.ThreadID
	}
	l.end()
	return l.s.inTurn(ctx, m.ChatID, func() error {
		_, err := l.s.sendParts(ctx, &m, l.message)
		if err == nil {
			l.message = 0 // it is the final message now
		}
		return err
	})
}

// Close ends the frames without a final message.
func (l *Live) Close() { l.end() }

// end stops the loop. A frame that is on its way is waited for, or it could arrive
// after the final message: an edit would replace it, a draft would linger for seconds.
func (l *Live) end() {
	l.once.Do(func() { close(l.stop) })
	if l.o.Private {
		select {
		case <-l.done:
		case <-time.After(draftGrace):
		}
		l.cancel()
	}
	<-l.done
	l.cancel()
}

// loop sends the frames, one at a time.
func (l *Live) loop(ctx context.Context) {
	defer close(l.done)
	every, repeat := l.s.frameEvery, draftLife
	if !l.o.Private {
		every, repeat = l.s.groupFrameEvery, typingLife
	}
	l.begin(ctx)
	sent := ""
	next := time.NewTimer(repeat)
	defer next.Stop()
	for {
		due := false // what is shown is about to vanish
		select {
		case <-l.stop:
			return
		case <-l.wake:
		case <-next.C:
			due = true
		}
		text := l.newest()
		switch {
		case text == "" || text == sent && !(l.o.Private && due):
			if due && sent == "" {
				l.begin(ctx)
			}
		default:
			// In between the wake is not listened to, so that frames coalesce.
			wait := frameRetry
			if l.frame(ctx, text) {
				sent, wait = text, every
			}
			if !l.pause(wait) {
				return
			}
			if l.newest() != sent {
				l.nudge()
			}
		}
		if due || text == sent {
			next.Reset(repeat)
		}
	}
}

func (l *Live) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// pause waits for d and tells whether more frames are wanted.
func (l *Live) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.stop:
		return false
	case <-timer.C:
		return true
	}
}

// newest returns the text of the next frame; empty where there is nothing to show.
func (l *Live) newest() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.TrimSpace(l.text) == "" {
		return ""
	}
	return l.text
}

// render makes the answer so far what a frame shows of it: its end, if it is long.
func (l *Live) render(answer string) format.Text {
	if l.o.Render == nil {
		return format.Plain(answer).Tail(format.MessageMost)
	}
	return l.o.Render(answer).Tail(format.MessageMost)
}

// begin shows that an answer is being made, before there is any of it.
func (l *Live) begin(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, frameTimeout)
	defer cancel()
	if !l.o.Private {
		l.learn(l.s.Typing(ctx, l.o.ChatID, l.o.ThreadID))
		return
	}
	l.inTurn(ctx, func() error { return l.sendDraft(ctx, format.Text{}) })
}

// frame sends one frame if the chat is free for it, and tells whether it tried.
func (l *Live) frame(ctx context.Context, answer string) bool {
	ctx, cancel := context.WithTimeout(ctx, frameTimeout)
	defer cancel()
	text := l.render(answer)
	if text.Blank() {
		return true
	}
	return l.inTurn(ctx, func() error {
		if l.o.Private {
			return l.sendDraft(ctx, text)
		}
		return l.sendEdit(ctx, text)
	})
}

// inTurn calls send if the chat is free, not paused, and its pace has room to spare.
func (l *Live) inTurn(ctx context.Context, send func() error) bool {
	if l.s.chats.isBlocked(l.o.ChatID) {
		l.learn(ErrBlocked)
		return true
	}
	if !l.s.chats.tryAcquire(l.o.ChatID) {
		return false
	}
	defer l.s.chats.release(l.o.ChatID)
	switch wait, err := l.s.take(ctx, l.o.ChatID, true); {
	case err != nil:
		l.learn(err)
		return true
	case wait > 0:
		return false
	}
	l.s.frames.WithLabelValues("sent").Inc()
	l.learn(send())
	return true
}

func (l *Live) learn(err error) {
	if errors.Is(err, ErrBlocked) {
		l.mu.Lock()
		l.gone = true
		l.mu.Unlock()
	}
}

// sendDraft shows text as a draft; empty text shows a placeholder. The library takes
// the id as text, but its form carries the same digits that the API asks for.
func (l *Live) sendDraft(ctx context.Context, text format.Text) error {
	_, err := l.s.client.SendMessageDraft(ctx, &tg.SendMessageDraftParams{
		ChatID: l.o.ChatID, MessageThreadID: l.o.ThreadID, DraftID: strconv.Itoa(l.draft),
		Text: text.String, Entities: text.Entities,
		CanStop: true, KeepOnStop: true,
	})
	return l.s.count(ctx, "sendMessageDraft", l.o.ChatID, err)
}

// sendEdit sends the first frame in a group as a message and edits it afterwards.
func (l *Live) sendEdit(ctx context.Context, text format.Text) error {
	if l.message == 0 {
		m := Message{ReplyTo: l.o.ReplyTo, Keyboard: l.o.Keyboard}
		p := part{first: true, last: true}
		sent, err := l.s.client.SendMessage(ctx, &tg.SendMessageParams{
			ChatID: l.o.ChatID, MessageThreadID: l.o.ThreadID, Text: text.String, Entities: text.Entities,
			LinkPreviewOptions: noPreview(), ReplyMarkup: m.markup(&p), ReplyParameters: m.reply(&p),
		})
		if err == nil {
			l.message = sent.ID
		}
		return l.s.count(ctx, "sendMessage", l.o.ChatID, err)
	}
	params := &tg.EditMessageTextParams{
		ChatID: l.o.ChatID, MessageID: l.message, Text: text.String, Entities: text.Entities, LinkPreviewOptions: noPreview(),
	}
	if l.o.Keyboard != nil {
		params.ReplyMarkup = l.o.Keyboard
	}
	_, err := l.s.client.EditMessageText(ctx, params)
	if refusedFor(err, "message is not modified") {
		err = nil
	}
	return l.s.count(ctx, "editMessageText", l.o.ChatID, err)
}
