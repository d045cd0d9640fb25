package audio_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/llm/audio"
)

const second = time.Second

func near(got, want time.Duration) bool { return max(got-want, want-got) <= want/200+time.Millisecond }

func TestLengthOf(t *testing.T) {
	tagged := join("ID3", []byte{4, 0, 0, 0, 0, 1, 0}, make([]byte, 128), mpeg(100))
	for _, c := range []struct {
		name         string
		file         []byte
		format       audio.Format
		likely, most time.Duration
	}{
		{"wav", wav(160_000, 320_000), audio.WAV, 10 * second, 10 * second},
		{"wav with something behind", wav(160_000, 160_000), audio.WAV, 5 * second, 10 * second},
		{"wav whose size was never written", wav(160_000, 0), audio.WAV, 10 * second, 10 * second},
		{"wav of a stream", wav(160_000, 0xffffffff), audio.WAV, 10 * second, 10 * second},
		{"mpeg", mpeg(1000), audio.MPEG, 24 * second, 24 * second},
		{"mpeg with a tag", tagged, audio.MPEG, 2400 * time.Millisecond, 2400 * time.Millisecond},
		{"mpeg, cut and spoiled", join(mpeg(10), "nonsense", mpeg(10)[:1000]), audio.MPEG, 16 * 24 * time.Millisecond, 16 * 24 * time.Millisecond},
		{"adts", adts(100), audio.ADTS, 6400 * time.Millisecond, 6400 * time.Millisecond},
		{"flac", flac(100, 409_600), audio.FLAC, 25600 * time.Millisecond, 25600 * time.Millisecond},
		{"flac that states a tenth", flac(100, 40_960), audio.FLAC, 2560 * time.Millisecond, 25600 * time.Millisecond},
		{"flac that states nothing", flac(100, 0), audio.FLAC, 25600 * time.Millisecond, 25600 * time.Millisecond},
		{"opus", opus(1, 500, 480_000), audio.Ogg, 10 * second, 10 * second},
		{"opus that states a second", opus(1, 500, 48_000), audio.Ogg, 10 * second, 10 * second},
		{"opus, one after the other", join(opus(1, 500, 480_000), opus(1, 500, 480_000), opus(2, 500, 1)), audio.Ogg, 30 * second, 30 * second},
		{"vorbis", vorbis(100, 16_000*5), audio.Ogg, 5 * second, 6400 * time.Millisecond},
		{"vorbis that states too much", vorbis(100, 16_000*500), audio.Ogg, 6400 * time.Millisecond, 6400 * time.Millisecond},
		{"mp4", mp4(1000, 1024, 0), audio.MP4, 64 * second, 128 * second},
		{"mp4 that states a thousandth", mp4(1000, 1, 0), audio.MP4, 62500 * time.Microsecond, 128 * second},
		{"mp4 that states more", mp4(1000, 16_000, 0), audio.MP4, 1000 * second, 1000 * second},
		{"mp4 in fragments", mp4(0, 0, 1000), audio.MP4, 64 * second, 128 * second},
		{"webm of opus", webm("A_OPUS", 500), audio.WebM, 10 * second, 10 * second},
		{"webm of vorbis", webm("A_VORBIS", 500), audio.WebM, 10 * second, 32 * second},
		{"webm without sound", webm("V_VP8", 0), audio.WebM, 0, 0},
		{"nothing known", []byte(strings.Repeat("words ", 1000)), "", second, 6000 * second / 512},
		{"nothing", nil, "", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := audio.LengthOf(c.file)
			if c.likely == 0 { // by its size
				c.likely, c.most = second*time.Duration(len(c.file))/6000, second*time.Duration(len(c.file))/512
			}
			if got.Format != c.format || !near(got.Likely, c.likely) || !near(got.Most, c.most) {
				t.Errorf("%+v, want %q likely %v and at most %v", got, c.format, c.likely, c.most)
			}
			if half := audio.LengthOf(c.file[:len(c.file)/2]); half.Likely > half.Most || c.format == audio.MPEG && half.Most > got.Most {
				t.Errorf("half of it: %+v", half)
			}
		})
	}
}

// FuzzLengthOf: no bytes break it, and a file's likely length is never above its most.
func FuzzLengthOf(f *testing.F) {
	for _, seed := range [][]byte{
		wav(10, 20), mpeg(3), adts(3), flac(3, 1), opus(1, 60, 5), vorbis(3, 7), mp4(3, 4, 5), webm("A_OPUS", 60), webm("A_VORBIS", 3),
		[]byte("ID3\x04\x00\x10\x7f\x7f\x7f\x7f"), nil,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		l := audio.LengthOf(file)
		if l.Likely < 0 || l.Most < l.Likely || len(file) > 0 && l.Most == 0 || l.Most > 10_000*time.Hour {
			t.Errorf("%+v", l)
		}
		if l.Format != audio.FormatOf(file) {
			t.Errorf("%q and %q", l.Format, audio.FormatOf(file))
		}
	})
}
