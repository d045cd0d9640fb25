package telegramsim

// opening is a message that the bot is about to send: in its chat, topic and thread of
// replies and with its buttons, but without its content.
type opening struct {
	room    *room
	message *Message
	markup  markup
}

// open begins a message as every call does that sends one (Client.cpp: do_send_message):
// the buttons must make sense, then the chat must be there, and then whatever can only be
// judged in a chat is fixed: by fix, which the buttons are part of. The world is locked.
func (s *Server) open(c *call, fix func(*room, *markup) *RefusalError) (*opening, *RefusalError) {
	var o opening
	var refusal *RefusalError
	if o.markup, refusal = inputMarkup(c.params["reply_markup"]); refusal != nil {
		return nil, refusal
	}
	if o.room, refusal = s.target(c); refusal != nil {
		return nil, refusal
	}
	if refusal = fix(o.room, &o.markup); refusal != nil {
		return nil, refusal
	}
	if o.message, refusal = s.newMessage(c, o.room); refusal != nil {
		return nil, refusal
	}
	o.message.ReplyMarkup = o.markup.inline
	return &o, nil
}

// sendOpened posts an opened message that has its content now.
func (s *Server) sendOpened(c *call, o *opening) *Message {
	s.post(c, o.room, o.message)
	s.showKeyboard(o.room, o.markup)
	return o.message
}
