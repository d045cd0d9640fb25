package llmsim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// list answers GET /v1/models in the shape that the client expects: Anthropic's
// to one that names an Anthropic version, else OpenAI's.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	one, begin, end := s.modelShape(r)
	if !s.known(w, r) {
		return
	}
	entries := make([]string, 0, len(s.models))
	for _, model := range s.models {
		entries = append(entries, one(model))
	}
	s.send(w, http.StatusOK, begin+strings.Join(entries, ",")+end)
}

func (s *Server) model(w http.ResponseWriter, r *http.Request) {
	one, _, _ := s.modelShape(r)
	if !s.known(w, r) {
		return
	}
	name := r.PathValue("model")
	if slices.Contains(s.models, name) {
		s.send(w, http.StatusOK, one(name))
		return
	}
	if isMessages(r) {
		s.refuseMessages(w, unknownMessagesModel(name))
		return
	}
	s.refuse(w, unknownModel(name))
}

// known lets in who carries the key, in either protocol's way.
func (s *Server) known(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case isMessages(r) && !s.apiKey(r):
		s.refuseMessages(w, badAPIKey())
	case !isMessages(r) && !s.bearer(r):
		s.refuse(w, badKey())
	default:
		return true
	}
	return false
}

func (s *Server) modelShape(r *http.Request) (one func(string) string, begin, end string) {
	if isMessages(r) {
		return messagesModelJSON, `{"data":[`, fmt.Sprintf(`],"has_more":false,"first_id":%s,"last_id":%s}`,
			quoted(s.models[0]), quoted(s.models[len(s.models)-1]))
	}
	return modelJSON, `{"object":"list","data":[`, "]}"
}

func modelJSON(model string) string {
	return fmt.Sprintf(`{"id":%s,"object":"model","created":%d,"owned_by":"llmsim"}`, quoted(model), modelsCreated)
}

func messagesModelJSON(model string) string {
	return fmt.Sprintf(`{"type":"model","id":%s,"display_name":%s,"created_at":"%s"}`,
		quoted(model), quoted(model), time.Unix(modelsCreated, 0).UTC().Format(time.RFC3339))
}
