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
	s       *Sender
	chat    int64
	thread  int
	private bool
	draft   int // id of the draft, the same for all frames

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

// Live begins to show an answer in a chat: "Thinking…" in a private chat, "typing" in a
// group. threadID is the topic, 0 for none.
func (s *Sender) Live(chatID int64, threadID int, private bool) *Live {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Live{
		s: s, chat: chatID, thread: threadID, private: private, draft: 1 + rand.IntN(math.MaxInt32),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), cancel: cancel, done: make(chan struct{}),
	}
	go l.loop(ctx)
	return l
}

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
		m.ChatID, m.ThreadID = l.chat, l.thread
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
	if l.private {
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
	if !l.private {
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
		case text == "" || text == sent && !(l.private && due):
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
	return tail(strings.ToValidUTF8(l.text, "\uFFFD"), messageMost)
}

// begin shows that an answer is being made, before there is any of it.
func (l *Live) begin(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, frameTimeout)
	defer cancel()
	if !l.private {
		l.learn(l.s.Typing(ctx, l.chat, l.thread))
		return
	}
	l.inTurn(ctx, func() error { return l.sendDraft(ctx, "") })
}

// frame sends one frame if the chat is free for it, and tells whether it tried.
func (l *Live) frame(ctx context.Context, text string) bool {
	ctx, cancel := context.WithTimeout(ctx, frameTimeout)
	defer cancel()
	return l.inTurn(ctx, func() error {
		if l.private {
			return l.sendDraft(ctx, text)
		}
		return l.sendEdit(ctx, text)
	})
}

// inTurn calls send if the chat is free, not paused, and its pace has room to spare.
func (l *Live) inTurn(ctx context.Context, send func() error) bool {
	if l.s.chats.isBlocked(l.chat) {
		l.learn(ErrBlocked)
		return true
	}
	if !l.s.chats.tryAcquire(l.chat) {
		return false
	}
	defer l.s.chats.release(l.chat)
	if wait, err := l.s.pace.take(ctx, l.chat, true); err != nil || wait > 0 {
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
func (l *Live) sendDraft(ctx context.Context, text string) error {
	_, err := l.s.client.SendMessageDraft(ctx, &tg.SendMessageDraftParams{
		ChatID: l.chat, MessageThreadID: l.thread, DraftID: strconv.Itoa(l.draft), Text: text,
	})
	return l.s.count(ctx, "sendMessageDraft", l.chat, err)
}

// sendEdit sends the first frame in a group as a message and edits it afterwards.
func (l *Live) sendEdit(ctx context.Context, text string) error {
	if l.message == 0 {
		sent, err := l.s.client.SendMessage(ctx, &tg.SendMessageParams{
			ChatID: l.chat, MessageThreadID: l.thread, Text: text, LinkPreviewOptions: noPreview(),
		})
		if err == nil {
			l.message = sent.ID
		}
		return l.s.count(ctx, "sendMessage", l.chat, err)
	}
	_, err := l.s.client.EditMessageText(ctx, &tg.EditMessageTextParams{
		ChatID: l.chat, MessageID: l.message, Text: text, LinkPreviewOptions: noPreview(),
	})
	if refusedFor(err, "message is not modified") {
		err = nil
	}
	return l.s.count(ctx, "editMessageText", l.chat, err)
}
