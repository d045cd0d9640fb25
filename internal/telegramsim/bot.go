package telegramsim

import (
	"context"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim/spec"
)

// call is one call on its way through a method.
type call struct {
	ctx     context.Context
	params  Params
	uploads map[string]upload
	chat    int64    // for the record; methods that find the chat otherwise set it
	message *Message // for the record
}

type method func(*Server, *call) (any, *RefusalError)

// methodTable is what is simulated, by lower-case name: Telegram does not care for case.
func methodTable() map[string]method {
	return map[string]method{
		"getme":                    getMe,
		"setwebhook":               setWebhook,
		"deletewebhook":            deleteWebhook,
		"getwebhookinfo":           getWebhookInfo,
		"getupdates":               getUpdates,
		"sendmessage":              sendMessage,
		"editmessagetext":          editMessageText,
		"editmessagereplymarkup":   editMessageReplyMarkup,
		"deletemessage":            deleteMessage,
		"deletemessages":           deleteMessages,
		"sendmessagedraft":         sendMessageDraft,
		"sendchataction":           sendChatAction,
		"answercallbackquery":      answerCallbackQuery,
		"setmycommands":            setMyCommands,
		"getmycommands":            getMyCommands,
		"deletemycommands":         deleteMyCommands,
		"setchatmenubutton":        setChatMenuButton,
		"getchatmenubutton":        getChatMenuButton,
		"getchat":                  getChat,
		"getfile":                  getFile,
		"sendphoto":                sendFile("photo"),
		"senddocument":             sendFile("document"),
		"sendaudio":                sendFile("audio"),
		"sendvoice":                sendFile("voice"),
		"sendvideo":                sendFile("video"),
		"sendanimation":            sendFile("animation"),
		"getchatmember":            getChatMember,
		"getchatadministrators":    getChatAdministrators,
		"getchatmembercount":       getChatMemberCount,
		"leavechat":                leaveChat,
		"createforumtopic":         createForumTopic,
		"editforumtopic":           editForumTopic,
		"deleteforumtopic":         deleteForumTopic,
		"answerinlinequery":        answerInlineQuery,
		"sendrichmessage":          sendRichMessage,
		"sendrichmessagedraft":     sendRichMessageDraft,
		"editmessagecaption":       editMessageCaption,
		"editmessagemedia":         editMessageMedia,
		"sendmediagroup":           sendMediaGroup,
		"sendinvoice":              sendInvoice,
		"createinvoicelink":        createInvoiceLink,
		"answerprecheckoutquery":   answerPreCheckoutQuery,
		"refundstarpayment":        refundStarPayment,
		"edituserstarsubscription": editUserStarSubscription,
		"getstartransactions":      getStarTransactions,
		"getmystarbalance":         getMyStarBalance,
		"logout":                   alwaysTrue,
		"close":                    alwaysTrue,
	}
}

// steady methods are not disturbed by faults, so that a faulty Telegram can still be set up.
var steady = map[string]bool{"setwebhook": true, "deletewebhook": true, "getwebhookinfo": true, "getme": true}

const badGateway = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n" +
	"<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n"

// serveBot answers /bot<token>/<method>.
func (s *Server) serveBot(w http.ResponseWriter, r *http.Request) {
	token, name, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/bot"), "/")
	if !ok || !strings.Contains(token, ":") {
		writeAnswer(w, nil, refuse(http.StatusNotFound, "Not Found"))
		return
	}
	if subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1 {
		writeAnswer(w, nil, refuse(http.StatusUnauthorized, "Unauthorized"))
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		writeAnswer(w, nil, refuse(http.StatusMethodNotAllowed, "Method Not Allowed: method must be GET or POST"))
		return
	}
	params, uploads, refusal := readParams(w, r)
	if refusal != nil {
		writeAnswer(w, nil, refusal)
		return
	}
	name = strings.ToLower(name)
	if s.disturb(w, r, name, params) {
		return
	}
	result, refusal := s.perform(name, &call{ctx: r.Context(), params: params, uploads: uploads})
	f := s.faults.faults.Load()
	if !steady[name] && f.about(name) && refusal == nil && s.faults.draw(lotLostAnswer, f.LostAnswerPercent) {
		panic(http.ErrAbortHandler) // net/http cuts the connection without an answer
	}
	writeAnswer(w, result, refusal)
}

// disturb answers late, or with 502, where a fault says so; true: there is nothing more to answer.
// A call's 502 is recorded; a download, which has no parameters, is none.
func (s *Server) disturb(w http.ResponseWriter, r *http.Request, name string, params Params) bool {
	f := s.faults.faults.Load()
	if steady[name] || !f.about(name) {
		return false
	}
	if s.faults.draw(lotSlow, f.SlowPercent) && !pause(r.Context(), s.ctx, time.Duration(f.SlowMillis)*time.Millisecond) {
		return true
	}
	if !s.faults.draw(lotBadGateway, f.BadGatewayPercent) {
		return false
	}
	if params != nil {
		s.note(name, &call{params: params}, time.Now(), refuse(http.StatusBadGateway, "Bad Gateway"))
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusBadGateway)
	_, _ = w.Write([]byte(badGateway))
	return true
}

// pause waits; false when somebody left meanwhile.
func pause(client, server context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-client.Done():
		return false
	case <-server.Done():
		return false
	case <-t.C:
		return true
	}
}

// perform carries a call out and records it.
func (s *Server) perform(name string, c *call) (any, *RefusalError) {
	c.chat, _ = c.params.Int("chat_id")
	at := time.Now()
	result, refusal := s.answer(name, c)
	s.note(name, c, at, refusal)
	return result, refusal
}

func (s *Server) answer(name string, c *call) (any, *RefusalError) {
	m, ok := s.methods[name]
	if !ok {
		if spelled, ok := spec.MethodName(name); ok {
			return nil, refuse(http.StatusNotImplemented, "Not Implemented: %s is not simulated", spelled)
		}
		return nil, refuse(http.StatusNotFound, "Not Found: method not found")
	}
	if !steady[name] {
		if refusal := s.throttle(name, c.chat); refusal != nil {
			return nil, refusal
		}
	}
	return m(s, c)
}

// throttle answers 429 where a chat is paused, a fault says so, or the pace is enforced and exceeded.
func (s *Server) throttle(name string, chat int64) *RefusalError {
	f := s.faults.faults.Load()
	if chat != 0 {
		if left := s.faults.pausedFor(chat); left > 0 {
			s.pace.ignored(chat)
			return tooMany(left)
		}
	}
	if f.about(name) && s.faults.draw(lotTooMany, f.TooManyPercent) {
		wait := time.Duration(f.RetryAfter) * time.Second
		if chat != 0 {
			s.faults.pause(chat, wait)
		}
		s.pace.injected()
		return tooMany(wait)
	}
	if f.EnforcePace && paced[name] {
		if wait := s.pace.wait(chat, time.Now()); wait > 0 {
			s.faults.pause(chat, wait)
			s.pace.caused()
			return tooMany(wait)
		}
	}
	return nil
}

// note records a call with everything known about it.
func (s *Server) note(name string, c *call, at time.Time, refusal *RefusalError) {
	spelled, ok := spec.MethodName(name)
	if !ok {
		spelled = name
	}
	record := Call{At: at, Method: spelled, Chat: c.chat, Params: c.params, Status: http.StatusOK, Message: c.message}
	if record.Chat == 0 {
		record.Chat, _ = c.params.Int("chat_id")
	}
	if refusal != nil {
		record.Status, record.Description = refusal.Code, refusal.Description
	} else if paced[name] {
		s.pace.count(record.Chat, at)
	}
	s.record.called(record, spec.CheckCall(spelled, c.params))
}

func getMe(s *Server, _ *call) (any, *RefusalError) {
	return struct {
		User
		CanJoinGroups           bool `json:"can_join_groups"`
		CanReadAllGroupMessages bool `json:"can_read_all_group_messages"`
		SupportsInlineQueries   bool `json:"supports_inline_queries"`
		CanConnectToBusiness    bool `json:"can_connect_to_business"`
		HasMainWebApp           bool `json:"has_main_web_app"`
	}{User: s.bot, CanJoinGroups: true, CanReadAllGroupMessages: !s.o.Privacy, SupportsInlineQueries: true}, nil
}

func alwaysTrue(*Server, *call) (any, *RefusalError) { return true, nil }
