package gateway

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	graphBody  = 64 << 10 // bytes
	hashDigits = 64
)

// ErrQueryUnknown is that no query of a hash is kept.
var ErrQueryUnknown = errors.New("gateway: no query of that hash is kept")

// querySpace keeps queries by their hashes.
type querySpace interface {
	Fetch(ctx context.Context, key string, load func(context.Context) ([]byte, error)) ([]byte, error)
	Put(ctx context.Context, key string, value []byte) error
}

// graphRequest is what is sent to /graphql.
type graphRequest struct {
	Query      string         `json:"query"`
	Operation  string         `json:"operationName"`
	Variables  map[string]any `json:"variables"`
	Extensions struct {
		Saved *struct {
			Hash string `json:"sha256Hash"`
		} `json:"persistedQuery"`
	} `json:"extensions"`
}

type graphAnswer struct {
	Data   json.RawMessage `json:"data"`
	Errors []*graphFault   `json:"errors,omitempty"`
}

// graphQL answers POST /graphql: a query over what the account's pages tell. What is wrong
// with the query is in the answer; what is wrong with its sender, or with us, is answered as
// everywhere.
func (s *Server) graphQL(c *fiber.Ctx) error {
	v, err := s.viewer(c)
	if err != nil {
		return err
	}
	request, err := readGraph(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, accountIn)
	defer cancel()
	fault := s.savedQuery(ctx, &request)
	if fault != nil {
		return c.JSON(graphAnswer{Errors: []*graphFault{fault}})
	}
	q, fault := s.graph.parse(request.Query, request.Operation, request.Variables)
	if fault != nil {
		return c.JSON(graphAnswer{Errors: []*graphFault{fault}})
	}
	s.saveQuery(ctx, &request)
	data, err := s.run(ctx, v, q)
	if err != nil {
		p := explain(err)
		if p.status >= fiber.StatusInternalServerError {
			return err
		}
		// All that can fail is never null, so its whole answer is.
		return c.JSON(graphAnswer{Errors: []*graphFault{faultOf(p.code, p.message)}})
	}
	return c.JSON(graphAnswer{Data: data})
}

// readGraph reads the request. *llm.RequestError.
func readGraph(c *fiber.Ctx) (request graphRequest, err error) {
	body, err := rawBody(c, graphBody)
	if err == nil && json.Unmarshal(body, &request) != nil {
		err = &llm.RequestError{Message: `The body is not a GraphQL request. Send for example {"query":"{account{available_usd}}"}.`}
	}
	return request, err
}

// savedQuery finds the query that a request names by its hash alone.
func (s *Server) savedQuery(ctx context.Context, r *graphRequest) *graphFault {
	saved := r.Extensions.Saved
	switch {
	case saved == nil:
		return nil
	case s.account.Queries == nil:
		return faultOf("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
	case len(saved.Hash) != hashDigits, r.Query != "" && hashOf(r.Query) != saved.Hash:
		return faultOf("BAD_USER_INPUT", "The hash is not that of the query: send its SHA-256 as 64 lower-case hexadecimal digits.")
	case r.Query != "":
		return nil
	}
	text, err := s.account.Queries.Fetch(ctx, saved.Hash, func(context.Context) ([]byte, error) { return nil, ErrQueryUnknown })
	if err != nil || hashOf(string(text)) != saved.Hash {
		return faultOf("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound") // its client sends the whole query then
	}
	r.Query = string(text)
	return nil
}

// saveQuery keeps a query that may be answered, where its client asks for that. Without the
// cache it is sent whole the next time, too.
func (s *Server) saveQuery(ctx context.Context, r *graphRequest) {
	if r.Extensions.Saved == nil {
		return
	}
	if err := s.account.Queries.Put(ctx, r.Extensions.Saved.Hash, []byte(r.Query)); err != nil {
		s.log.DebugContext(ctx, "query not kept on all instances", "err", err)
	}
}

// graphSDL answers GET /graphql/schema.
func (s *Server) graphSDL(c *fiber.Ctx) error { return s.documents.graph.serve(c) }

// keysOf are an account's newest keys, as they are told.
func (s *Server) keysOf(ctx context.Context, account int64, most int) ([]keyAnswer, error) {
	uses, err := s.keyBook.Used(ctx, billing.KeyQuery{AccountID: account, Most: most, Revoked: true})
	if err != nil {
		return nil, err
	}
	keys := make([]keyAnswer, 0, len(uses))
	for _, use := range uses {
		keys = append(keys, s.keyJSON(use))
	}
	return keys, nil
}
