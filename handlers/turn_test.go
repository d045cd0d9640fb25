package handlers

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/talk"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/telegramsim"
)

// writer is a model that writes when it is told to.
type writer struct {
	begun chan struct{} // closed when the model has been asked
	words chan string   // what it writes next
	ended chan error    // why it ended, as the caller sees it
	said  chan struct{} // one for each word that was passed on
}

func newWriter() *writer {
	return &writer{begun: make(chan struct{}, 8), words: make(chan string), ended: make(chan error, 8), said: make(chan struct{}, 64)}
}

func (s *writer) complete(ctx context.Context, _ llm.ChatCall, onText func(string) error) (llm.ChatAnswer, error) {
	s.begun <- struct{}{}
	text := ""
	end := func(err error) (llm.ChatAnswer, error) {
		s.ended <- err
		return llm.ChatAnswer{Text: text, CostNano: int64(len(text)) * 1000, AvailableNano: 400_000_000}, err
	}
	for {
		select {
		case <-ctx.Done():
			return end(context.Cause(ctx))
		case word, open := <-s.words:
			if !open {
				return end(nil)
			}
			text += word
			if err := onText(text); err != nil {
				return end(err)
			}
			s.said <- struct{}{}
		}
	}
}

func (r *rig) stoppedUpdate(id int64, draft int64) *bot.Update {
	return r.decode(id, fmt.Sprintf(`{"update_id":%d,"stopped_message_generation":{"chat":{"id":%d,"type":"private"},"draft_id":%d}}`, id, person, draft))
}

// await receives what must come.
func await[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("%s does not come", what)
		panic("unreachable")
	}
}

// begin starts to handle an update; its end is told.
func (r *rig) begin(u *bot.Update) <-chan error {
	done := make(chan error, 1)
	go func() { done <- r.router.Handle(r.t.Context(), u) }()
	return done
}

// press is a press of a button under the bot's latest message.
func (r *rig) press(id int64, data string) *bot.Update {
	r.t.Helper()
	messages := r.telegram.Messages(person)
	return r.pressUpdate(id, data, messages[len(messages)-1].MessageID)
}

// TestStop: the press ends the call to the model, and what was written until then is the
// answer, is paid for, and is remembered.
func TestStop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/start")
	s := newWriter()
	r.streams = s.complete
	done := r.begin(r.message(5001, "tell me"))
	await(t, s.begun, "the question")
	s.words <- "Once upon"
	await(t, s.said, "the word")
	s.words <- " a time"
	await(t, s.said, "the word")
	_, err := r.telegram.WaitCall(t.Context(), func(c telegramsim.Call) bool {
		return c.Method == "sendMessageDraft" && c.Params["text"] == "Once upon a time"
	})
	if err != nil {
		t.Fatal(err)
	}
	draft := r.telegram.Draft(person)
	if draft == nil || !draft.CanStop || draft.DraftID != 5002 {
		t.Fatalf("draft %+v", draft)
	}
	r.handle(r.stoppedUpdate(5002, draft.DraftID))
	if err := await(t, s.ended, "the end of the call"); !errors.Is(err, talk.ErrStopped) {
		t.Errorf("the model's call ended with %v", err)
	}
	if err := await(t, done, "the end of the turn"); err != nil {
		t.Fatal(err)
	}
	r.heard(`^Once upon a time\n\n\[stopped; .*\]\n\n\$0\.000016 · balance \$0\.40$`)
	r.handle(r.stoppedUpdate(5003, draft.DraftID)) // pressed again, too late
	r.say("/stop")
	r.heard(`nothing to stop`)
	r.streams = nil
	r.say("go on")
	if context := r.calls[1].Messages; len(context) != 3 || context[1].Content != "Once upon a time" {
		t.Errorf("the next question's context: %+v", context)
	}
}

// TestStopBeforeTheFirstWord costs nothing, is final also for a redelivery, and leaves no
// answer in the conversation.
func TestStopBeforeTheFirstWord(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/start")
	s := newWriter()
	r.streams = s.complete
	u := r.message(5001, "tell me")
	done := r.begin(u)
	await(t, s.begun, "the question")
	r.say("/stop")
	await(t, s.ended, "the end of the call")
	if err := await(t, done, "the end of the turn"); err != nil {
		t.Fatal(err)
	}
	r.heard(`^Stopped\.$`)
	r.handle(u)
	if len(r.calls) != 1 {
		t.Errorf("the model was asked %d times", len(r.calls))
	}
	r.streams = nil
	r.say("next")
	if n := len(r.calls[1].Messages); n != 1 {
		t.Errorf("%d messages of context", n)
	}
}

// TestStopOutlivesACrash: the instance that was told died before the turn did; whoever
// takes the turn up finds it stopped.
func TestStopOutlivesACrash(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/start")
	r.handle(r.stoppedUpdate(5002, 5002))
	r.handle(r.message(5001, "tell me"))
	r.heard(`^Stopped\.$`)
	if len(r.calls) != 0 {
		t.Errorf("the model was asked: %+v", r.calls)
	}
}

// TestStopFromAnotherInstance: the press is handled where the turn does not run.
func TestStopFromAnotherInstance(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/start")
	o := r.options
	o.Till.Registerer = prometheus.NewRegistry()
	other := New(o)
	ctx, cancel := context.WithCancel(t.Context())
	listening := make(chan error, 1)
	go func() { listening <- r.router.Talk.Listen(ctx) }()
	defer func() {
		cancel()
		if err := <-listening; err != nil {
			t.Error(err)
		}
	}()
	s := newWriter()
	r.streams = s.complete
	done := r.begin(r.message(5001, "tell me"))
	await(t, s.begun, "the question")
	if err := other.Handle(t.Context(), r.stoppedUpdate(5002, 5002)); err != nil {
		t.Fatal(err)
	}
	if err := await(t, s.ended, "the end of the call"); !errors.Is(err, talk.ErrStopped) {
		t.Errorf("the model's call ended with %v", err)
	}
	if err := await(t, done, "the end of the turn"); err != nil {
		t.Fatal(err)
	}
}

// TestRetry: the same question again; its answer takes the place of the first, and a
// redelivery changes nothing.
func TestRetry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/retry")
	r.heard(`no question here`)
	n := 0
	r.answer = func(c llm.ChatCall) (llm.ChatAnswer, error) {
		n++
		return llm.ChatAnswer{Text: fmt.Sprintf("answer %d to %s", n, c.Messages[len(c.Messages)-1].Content)}, nil
	}
	r.say("one")
	r.say("two")
	u := r.message(7001, "/retry")
	r.handle(u)
	r.heard(`^answer 3 to two`)
	r.handle(u)
	if n != 3 {
		t.Errorf("the model was asked %d times", n)
	}
	r.say("/retry") // and again
	r.heard(`^answer 4 to two`)
	r.say("three")
	var context []string
	for _, m := range r.calls[4].Messages {
		context = append(context, m.Content)
	}
	if got := strings.Join(context, "|"); got != "one|answer 1 to one|two|answer 4 to two|three" {
		t.Errorf("context %q", got)
	}
	if r.calls[1].HoldID == r.calls[2].HoldID {
		t.Error("the retry is not paid for")
	}
}

// TestRetryOfWhatFailed: a question that came to no answer can be asked again, also after
// an earlier one that did.
func TestRetryOfWhatFailed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("one")
	fine := r.answer
	r.answer = func(llm.ChatCall) (llm.ChatAnswer, error) {
		return llm.ChatAnswer{}, &llm.UpstreamError{Fault: llm.FaultTimeout}
	}
	r.say("two")
	r.heard(`/retry asks again`)
	r.say("/retry")
	r.heard(`/retry asks again`)
	r.answer = fine
	r.say("/retry")
	r.heard(`^You said two`)
	last := r.calls[len(r.calls)-1].Messages
	if len(last) != 3 || last[0].Content != "one" {
		t.Errorf("context %+v", last)
	}
}

func (r *rig) editedUpdate(id int64, message int, text string) *bot.Update {
	return r.decode(id, fmt.Sprintf(`{"update_id":%d,"edited_message":{"message_id":%d,"date":1790000000,"edit_date":1790000009,"text":%q,
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"chat":{"id":%d,"type":"private","first_name":"Ada"}}}`, id, message, text, person, person))
}

func (r *rig) pressUpdate(id int64, data string, message int64) *bot.Update {
	return r.decode(id, fmt.Sprintf(`{"update_id":%d,"callback_query":{"id":"%d","chat_instance":"1","data":%q,
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"},
		"message":{"message_id":%d,"date":1790000000,"chat":{"id":%d,"type":"private","first_name":"Ada"}}}}`, id, id, data, person, message, person))
}

// TestEditedQuestion: an answer is offered once, and pressed twice comes once.
func TestEditedQuestion(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("unrelated")
	r.handle(r.message(6001, "what is read?"))
	before := len(r.said())
	r.handle(r.editedUpdate(6002, 4444, "a command of long ago"))
	if n := len(r.said()); n != before {
		t.Fatal("an edit of no question was answered")
	}
	first := r.editedUpdate(6003, 6001, "what is red?")
	r.handle(first)
	r.heard(`You changed your question`)
	r.handle(first) // a crash before it was acknowledged
	r.handle(r.editedUpdate(6004, 6001, "what is blue?"))
	if n := len(r.said()) - before; n != 2 {
		t.Fatalf("offered %d times", n)
	}
	press := r.pressUpdate(6005, "anew:6001", 99)
	r.handle(press) // goes behind what waits
	if n := len(r.calls); n != 2 {
		t.Fatalf("asked beside the chat's turn: %d calls", n)
	}
	press.Deferred = true
	r.handle(press)
	r.heard(`^You said what is blue\?`)
	again := r.pressUpdate(6006, "anew:6001", 99)
	again.Deferred = true
	r.handle(again)
	r.heard(`answered already`)
	r.say("next")
	last := r.calls[len(r.calls)-1].Messages
	if len(last) != 5 || last[2].Content != "what is blue?" {
		t.Errorf("context %+v", last)
	}
}

// TestTopicsAreApart: each has its own conversation, model and persona.
func TestTopicsAreApart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := func(id int64, thread int, text string) *bot.Update {
		return r.decode(id, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"message_thread_id":%d,"is_topic_message":true,"date":1790000000,"text":%q,
			"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"chat":{"id":%d,"type":"private","first_name":"Ada"}}}`, id, id, thread, text, person, person))
	}
	r.say("one")
	r.handle(in(7001, 7, "/system Be kind."))
	r.choose(person, 7, "model", "gone-model")
	if k := r.talk(person, 7); k.choices["persona"] != "Be kind." || k.choices["model"] != "gone-model" || len(k.turns) != 0 {
		t.Errorf("topic 7: %+v", k)
	}
	if k := r.talk(person, 0); len(k.choices) != 0 || len(k.turns) != 1 {
		t.Errorf("topic 0: %+v", k)
	}
	if err := r.router.Talk.ForgetChat(t.Context(), person); err != nil {
		t.Fatal(err)
	}
	for _, thread := range []int{0, 7} {
		if k := r.talk(person, thread); len(k.choices) != 0 || len(k.turns) != 0 {
			t.Errorf("topic %d is not forgotten: %+v", thread, k)
		}
	}
}

// TestSystem: a persona goes before the conversation, can be seen and removed.
func TestSystem(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/system")
	r.heard(`told nothing`)
	r.say("/system Answer like a pirate.")
	r.heard(`Answer like a pirate\.`)
	r.say("hello")
	if m := r.calls[0].Messages; len(m) != 2 || m[0].Role != "system" || m[0].Content != "Answer like a pirate." {
		t.Errorf("asked %+v", m)
	}
	r.handle(r.press(7001, "persona:all"))
	r.say("/system")
	r.handle(r.press(7002, "persona:remove")) // the topic's
	r.handle(r.press(7003, "persona:remove")) // the person's
	r.say("/new")
	r.say("hello")
	if m := r.calls[1].Messages; len(m) != 1 {
		t.Errorf("asked %+v", m)
	}
	r.say("/system " + strings.Repeat("x", 4097))
	r.heard(`4,097 characters`)
}

// TestSummary: a long conversation is summed up beside an answer, on the same path; the
// cost of both stands under the answer, and later questions go with the summary.
func TestSummary(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	long := strings.Repeat("word ", 4000) // about 5,000 tokens
	summaries := 0
	r.answer = func(c llm.ChatCall) (llm.ChatAnswer, error) {
		if strings.HasSuffix(c.HoldID, "-summary") {
			summaries++
			return llm.ChatAnswer{Text: "They spoke of words.", CostNano: 7_000_000, AvailableNano: 480_000_000}, nil
		}
		return llm.ChatAnswer{Text: "Yes.", CostNano: 1_000_000, AvailableNano: 490_000_000}, nil
	}
	for range 3 {
		r.say(long)
		r.heard(`\$0\.001 ·`)
	}
	r.say("short")
	r.heard(`^Yes\.\n\n\$0\.008 · balance`)
	if summaries != 1 {
		t.Fatalf("%d summaries", summaries)
	}
	r.say("and now")
	last := r.calls[len(r.calls)-1].Messages
	if last[0].Role != "system" || !strings.Contains(last[0].Content, "They spoke of words.") {
		t.Errorf("asked with %.80q", last[0].Content)
	}
	if n := len(last); n != 8 { // the summary, two long turns and a short one, the question
		t.Errorf("%d messages", n)
	}
	r.say("/export")
	messages := r.telegram.Messages(person)
	if !regexp.MustCompile(`^conversation-.*\.md$`).MatchString(messages[len(messages)-1].Document.FileName) {
		t.Errorf("exported %+v", messages[len(messages)-1])
	}
	r.say("/new")
	r.say("fresh")
	if m := r.calls[len(r.calls)-1].Messages; len(m) != 1 {
		t.Errorf("after /new: %+v", m)
	}
}
