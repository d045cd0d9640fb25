package bot

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/bot/format"
	"github.com/kikuai/kikuai/internal/testenv"
)

func finish(t *testing.T, l *Live, text string) {
	t.Helper()
	if err := l.Finish(context.Background(), Message{Text: text}); err != nil {
		t.Errorf("Finish: %v", err)
	}
}

func TestLiveInAPrivateChat(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	l := s.Live(LiveOptions{ChatID: 7, ThreadID: 3, Private: true})
	testenv.Until(t, "a placeholder is shown", func() bool { return len(a.made("sendMessageDraft")) == 1 })
	if err := l.Update("Hel"); err != nil {
		t.Error(err)
	}
	testenv.Until(t, "a frame is shown", func() bool { return len(a.made("sendMessageDraft")) == 2 })
	if err := l.Update("Hello"); err != nil {
		t.Error(err)
	}
	testenv.Until(t, "another is shown", func() bool { return len(a.made("sendMessageDraft")) == 3 })
	finish(t, l, "Hello.")
	l.Close()
	if got := strings.Join(a.texts(), "|"); got != "|Hel|Hello|Hello." {
		t.Errorf("shown: %s", got)
	}
	drafts := a.made("sendMessageDraft")
	id, err := strconv.ParseInt(drafts[0].params["draft_id"], 10, 64)
	if err != nil || id == 0 {
		t.Errorf("draft_id %q", drafts[0].params["draft_id"])
	}
	for _, d := range drafts {
		if d.params["draft_id"] != drafts[0].params["draft_id"] || d.params["message_thread_id"] != "3" {
			t.Errorf("draft: %v", d.params)
		}
	}
	if finals := a.made("sendMessage"); len(finals) != 1 || finals[0].params["message_thread_id"] != "3" {
		t.Errorf("finals: %+v", finals)
	}
}

func TestLiveInAGroup(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	l := s.Live(LiveOptions{ChatID: -7})
	testenv.Until(t, "typing is shown", func() bool { return len(a.made("sendChatAction")) == 1 })
	_ = l.Update("Hel")
	testenv.Until(t, "a message is shown", func() bool { return len(a.made("sendMessage")) == 1 })
	_ = l.Update("Hello")
	testenv.Until(t, "it is edited", func() bool { return len(a.made("editMessageText")) == 1 })
	long := strings.Repeat("word ", 1000)
	finish(t, l, long)
	edits, messages := a.texts("editMessageText"), a.texts("sendMessage")
	if len(edits) != 2 || len(messages) != 2 {
		t.Fatalf("%d edits, %d messages", len(edits), len(messages))
	}
	if got := edits[1] + " " + messages[1]; got != strings.TrimSpace(long) {
		t.Errorf("final text of %d bytes, want %d", len(got), len(long))
	}
}

// Many updates while a frame is on its way: the newest alone is shown next.
func TestFramesCoalesce(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	hold := make(chan struct{})
	a.script(func(c call) reply {
		if c.params["text"] == "first" {
			return reply{wait: hold}
		}
		return reply{}
	})
	l := s.Live(LiveOptions{ChatID: 7, Private: true})
	_ = l.Update("first")
	testenv.Until(t, "the first frame is on its way", func() bool { return strings.HasSuffix(strings.Join(a.texts(), "|"), "first") })
	started := time.Now()
	for i := range 1000 {
		_ = l.Update(strconv.Itoa(i))
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("updates waited: %v", took)
	}
	close(hold)
	testenv.Until(t, "the newest is shown", func() bool { return strings.HasSuffix(strings.Join(a.texts(), "|"), "|999") })
	l.Close()
	if n := len(a.made("sendMessageDraft")); n > 3 {
		t.Errorf("%d frames: %v", n, a.texts())
	}
	if n := len(a.made("sendMessage")); n != 0 {
		t.Error("Close sent a message")
	}
}

func TestFramesKeepTheirDistance(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	s.frameEvery = 100 * time.Millisecond
	l := s.Live(LiveOptions{ChatID: 7, Private: true})
	defer l.Close()
	stop := time.Now().Add(350 * time.Millisecond)
	for i := 0; time.Now().Before(stop); i++ {
		_ = l.Update(strconv.Itoa(i))
		time.Sleep(time.Millisecond)
	}
	var last time.Time
	for _, c := range a.made("sendMessageDraft")[1:] {
		if gap := c.at.Sub(last); !last.IsZero() && gap < 95*time.Millisecond {
			t.Errorf("two frames within %v", gap)
		}
		last = c.at
	}
}

// Frames use up the burst but for one, so that the final message does not wait.
func TestFramesLeaveRoomForTheFinal(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	s.frameEvery = time.Millisecond
	l := s.Live(LiveOptions{ChatID: 7, Private: true})
	for i := range 20 {
		_ = l.Update(strconv.Itoa(i))
		time.Sleep(5 * time.Millisecond)
	}
	if n := len(a.made("sendMessageDraft")); n > privateBurst-privateSpare {
		t.Errorf("%d frames in a burst", n)
	}
	started := time.Now()
	finish(t, l, "done")
	if took := time.Since(started); took > 900*time.Millisecond {
		t.Errorf("the final message waited %v", took)
	}
}

// A 429 on a frame pauses the frames; the final waits it out and is still sent once.
func TestFloodOnAFrame(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	a.script(func(c call) reply {
		if c.params["text"] == "frame" {
			return refusal(429, "Too Many Requests: retry after 1", `"retry_after":1`)
		}
		return reply{}
	})
	l := s.Live(LiveOptions{ChatID: 7, Private: true})
	testenv.Until(t, "a placeholder is shown", func() bool { return len(a.made("sendMessageDraft")) == 1 })
	_ = l.Update("frame")
	testenv.Until(t, "the chat is paused", func() bool { return s.chats.rest(7) > 0 })
	_ = l.Update("frame two")
	time.Sleep(50 * time.Millisecond)
	if n := len(a.made()); n != 2 {
		t.Errorf("%d calls during the pause", n)
	}
	finish(t, l, "done")
	if got := a.texts("sendMessage"); len(got) != 1 || got[0] != "done" {
		t.Errorf("finals: %v", got)
	}
}

// A frame that hangs does not hold up the final message for long, and in a group it is
// over before the final, which it would overwrite.
func TestHangingFrame(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	a.script(func(c call) reply {
		if c.params["text"] == "frame" {
			return reply{wait: make(chan struct{})}
		}
		return reply{}
	})
	l := s.Live(LiveOptions{ChatID: 7, Private: true})
	_ = l.Update("frame")
	testenv.Until(t, "the frame hangs", func() bool { return strings.HasSuffix(strings.Join(a.texts(), "|"), "frame") })
	started := time.Now()
	finish(t, l, "done")
	if took := time.Since(started); took > draftGrace+5*time.Second {
		t.Errorf("the final message waited %v", took)
	}
}

// In a group an edit that arrives late would replace the final text: the final message
// waits until the frame on its way has been answered.
func TestFinalComesAfterAnEditOnItsWay(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	hold := make(chan struct{})
	a.script(func(c call) reply {
		if c.params["text"] == "second" {
			return reply{wait: hold}
		}
		return reply{}
	})
	l := s.Live(LiveOptions{ChatID: -7})
	_ = l.Update("first")
	testenv.Until(t, "a message is shown", func() bool { return len(a.made("sendMessage")) == 1 })
	_ = l.Update("second")
	testenv.Until(t, "an edit is on its way", func() bool { return len(a.made("editMessageText")) == 1 })
	released := time.Now().Add(200 * time.Millisecond)
	time.AfterFunc(200*time.Millisecond, func() { close(hold) })
	finish(t, l, "final")
	edits := a.made("editMessageText")
	if len(edits) != 2 || edits[1].params["text"] != "final" || edits[1].at.Before(released) {
		t.Errorf("edits: %+v", edits)
	}
	if a.cut != 0 {
		t.Error("the frame was given up; it may still arrive")
	}
}

func TestLiveOfABlockedChat(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	a.script(func(call) reply { return refusal(403, "Forbidden: bot was blocked by the user") })
	l := s.Live(LiveOptions{ChatID: 7, Private: true})
	testenv.Until(t, "it is known", func() bool { return errors.Is(l.Update("x"), ErrBlocked) })
	if err := l.Finish(context.Background(), Message{Text: "done"}); !errors.Is(err, ErrBlocked) {
		t.Errorf("Finish: %v", err)
	}
	if n := len(a.made()); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

func TestLongFrameShowsItsEnd(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	l := s.Live(LiveOptions{ChatID: 7, Private: true})
	_ = l.Update(strings.Repeat("🙂", 3000) + "end")
	testenv.Until(t, "a frame is shown", func() bool { return len(a.made("sendMessageDraft")) == 2 })
	l.Close()
	text := a.texts("sendMessageDraft")[1]
	if n := format.Units(text); n > format.MessageMost || n < format.MessageMost-3 || !strings.HasSuffix(text, "🙂end") || !strings.HasPrefix(text, "…\n🙂") {
		t.Errorf("frame of %d units: %.20s", n, text)
	}
}

func TestWhiteSpaceIsNoFrame(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	l := s.Live(LiveOptions{ChatID: -7})
	_ = l.Update(" \n")
	time.Sleep(50 * time.Millisecond)
	l.Close()
	if n := len(a.made("sendMessage")); n != 0 {
		t.Error("white space was sent")
	}
}

// A draft has Telegram's Stop button, a frame in a group the one it was given, until the
// final message takes its place.
func TestFramesCanBeStopped(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	private := s.Live(LiveOptions{ChatID: 7, Private: true})
	group := s.Live(LiveOptions{ChatID: -7, Keyboard: keyboard("Stop"), ReplyTo: 5})
	_ = group.Update("one")
	testenv.Until(t, "both are shown", func() bool { return len(a.made("sendMessageDraft")) == 1 && len(a.made("sendMessage")) == 1 })
	_ = group.Update("two")
	testenv.Until(t, "a frame is edited", func() bool { return len(a.made("editMessageText")) == 1 })
	private.Close()
	finish(t, group, "three")
	d := a.made("sendMessageDraft")[0].params
	if d["can_stop"] != "true" || d["keep_on_stop"] != "true" || d["draft_id"] != strconv.Itoa(private.Draft()) {
		t.Errorf("draft: %v", d)
	}
	first, edits := a.made("sendMessage")[0].params, a.made("editMessageText")
	if first["reply_markup"] == "" || first["reply_parameters"] == "" || edits[0].params["reply_markup"] == "" || edits[1].params["reply_markup"] != "" {
		t.Errorf("frames: %v, %+v", first, edits)
	}
}

// A message that waits for the chat's turn goes before any frame.
func TestFramesGiveWayToMessages(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	if err := s.chats.acquire(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := s.Send(t.Context(), Message{ChatID: 7, Text: "final"})
		sent <- err
	}()
	testenv.Until(t, "it waits", func() bool {
		s.chats.mu.Lock()
		defer s.chats.mu.Unlock()
		return len(s.chats.turns[7].waiting) == 1
	})
	l := s.Live(LiveOptions{ChatID: 7, Private: true})
	defer l.Close()
	_ = l.Update("frame")
	s.chats.release(7)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, "the frame is shown", func() bool { return len(a.made("sendMessageDraft")) > 0 })
	if first := a.made()[0]; first.method != "sendMessage" {
		t.Errorf("the first call is %s", first.method)
	}
}
