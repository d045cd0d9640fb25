package talk

import (
	"strconv"

	"github.com/kikuai/kikuai/internal/stream"
)

// topic is where a conversation takes place.
type topic struct {
	chat   int64
	thread int // 0: none
}

// key names something of the topic, on the chat's shard.
func (t topic) key(name string) string {
	return stream.ShardOfChat(t.chat).Key(name, strconv.FormatInt(t.chat, 10), strconv.Itoa(t.thread))
}

// keys are all that is kept of the topic.
func (t topic) keys() []string { return []string{t.talkKey(), t.gistKey(), t.choiceKey(), t.runKey()} }

func (t topic) talkKey() string { return t.key("talk") }

func (t topic) gistKey() string { return t.key("gist") }

func (t topic) choiceKey() string { return t.key("choice") }

func (t topic) runKey() string { return t.key("run") }

// Fields of a topic's gist: what is kept of a conversation beside its turns, as long as they.
const (
	gistSummary = "summary" // of the turns that are kept no more
	gistPieces  = "pieces"  // the updates of the latest turn, for asking again
	gistTurn    = "turn"    // that turn's id
)

// Fields of a topic's choices.
const (
	choiceModel   = "model"
	choicePersona = "persona"
)

// threadsKey names the set of the threads in which something of a chat is kept.
func threadsKey(chat int64) string {
	return stream.ShardOfChat(chat).Key("threads", strconv.FormatInt(chat, 10))
}

// stopKey names that a draft was stopped.
func stopKey(chat int64, draft int) string {
	return stream.ShardOfChat(chat).Key("stop", strconv.FormatInt(chat, 10), strconv.Itoa(draft))
}

// editKey names the newest text of a message that was edited, while an answer to it is
// offered.
func editKey(chat int64, message int) string {
	return stream.ShardOfChat(chat).Key("edit", strconv.FormatInt(chat, 10), strconv.Itoa(message))
}
