package handlers

import (
	"strconv"

	"github.com/redis/go-redis/v9"
	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/stream"
)

// keptTalk is what Redis has of a topic's conversation.
type keptTalk struct {
	turns   []string // the questions
	gist    map[string]string
	choices map[string]string
}

func keyOf(chat int64, thread int, name string) string {
	return stream.ShardOfChat(chat).Key(name, strconv.FormatInt(chat, 10), strconv.Itoa(thread))
}

// talk reads a topic's conversation.
func (r *rig) talk(chat int64, thread int) (k keptTalk) {
	r.t.Helper()
	var turns *redis.StringSliceCmd
	var gist, choices *redis.MapStringStringCmd
	if _, err := r.router.Redis.Pipelined(r.t.Context(), func(p redis.Pipeliner) error {
		turns = p.LRange(r.t.Context(), keyOf(chat, thread, "talk"), 0, -1)
		gist, choices = p.HGetAll(r.t.Context(), keyOf(chat, thread, "gist")), p.HGetAll(r.t.Context(), keyOf(chat, thread, "choice"))
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
	for _, turn := range turns.Val() {
		k.turns = append(k.turns, gjson.Get(turn, "q").String())
	}
	k.gist, k.choices = gist.Val(), choices.Val()
	return k
}

// choose sets a choice of a topic.
func (r *rig) choose(chat int64, thread int, field, value string) {
	r.t.Helper()
	if err := r.router.Redis.HSet(r.t.Context(), keyOf(chat, thread, "choice"), field, value).Err(); err != nil {
		r.t.Fatal(err)
	}
}
