package llm

import "time"

// Units are what a call consumes beside tokens, at most.
type Units struct {
	Images     int64 // pictures made
	AudioMS    int64 // milliseconds of audio, heard and made
	Characters int64 // of text spoken
}

const (
	// What providers count a second of audio as, in tokens: usually, and at most.
	heardTokens     = 10
	mostHeardTokens = 40
	madeTokens      = 20
	mostMadeTokens  = 25
)

// audioTokens is how many tokens so many milliseconds of audio come to, at so many a
// second.
func audioTokens(ms, perSecond int64) int64 { return (ms*perSecond + 999) / 1000 }

// wholeSeconds is a length in milliseconds as it is billed: by begun seconds.
func wholeSeconds(length time.Duration) int64 {
	return int64((length + time.Second - 1) / time.Second * 1000)
}

// sized is a form whose answer's length is not the model's greatest or what the client
// says: outputBound is the most tokens that one answer can have. The provider takes no
// other limit of it.
type sized interface{ outputBound(m *Model) int64 }

// OutputBound is the most tokens that one answer of the model can have.
func (r *Request) OutputBound(m *Model) int64 {
	if r.Warming {
		return 0
	}
	if s, is := r.form.(sized); is {
		return s.outputBound(m)
	}
	return m.MaxOutput
}

// Unbending says that no length of the answer can be asked for: nothing less than the
// worst case will do.
func (r *Request) Unbending() bool {
	_, is := r.form.(sized)
	return is || r.Warming
}
