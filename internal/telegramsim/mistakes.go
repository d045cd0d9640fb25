package telegramsim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// excused are the refusals with 400 that come of what people did meanwhile, not of what the bot wrote: it cannot
// know before it calls.
var excused = []string{
	saidNotModified, saidQueryTooOld, "chat not found", "message to edit not found", "message to delete not found",
	"message to be replied not found", "message can't be deleted", "message thread not found", "MESSAGE_ID_INVALID",
	"group chat was upgraded to a supergroup chat", "file is too big", "wrong file_id or the file is temporarily unavailable",
	"PARTICIPANT_ID_INVALID", "TOPIC_ID_INVALID",
}

// Mistakes are the calls that a bot without bugs does not make: those that are not as the Bot API documents them,
// and those that were refused for what the bot wrote (too long, entities out of place, buttons that cannot be…).
// A test asks for it at its end.
func (s *Server) Mistakes() []Violation {
	mistakes := s.Violations()
	told := map[int64]bool{}
	for _, m := range mistakes {
		told[m.Call.Seq] = true
	}
	for _, c := range s.Calls() {
		if c.mistaken() && !told[c.Seq] {
			mistakes = append(mistakes, Violation{Call: c, Err: errors.New(c.Description)})
		}
	}
	return mistakes
}

// mistaken tells whether the call was refused for what it says.
func (c Call) mistaken() bool {
	switch c.Status {
	case http.StatusBadRequest:
		return !slices.ContainsFunc(excused, func(said string) bool { return strings.Contains(c.Description, said) })
	case http.StatusNotFound, http.StatusNotImplemented, http.StatusRequestEntityTooLarge:
		return true
	}
	return false
}

// String names the call without what it carries.
func (v Violation) String() string {
	return fmt.Sprintf("%s to chat %d: %v", v.Call.Method, v.Call.Chat, v.Err)
}
