package billing

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// bigCost is Cost in arbitrary precision.
func bigCost(p *Prices, u Usage) int64 {
	u = u.Clamped()
	r := &p.short
	if p.above > 0 && u.Prompt > p.above {
		r = &p.long
	}
	sum := new(big.Rat)
	add := func(n, price, per int64) {
		part := new(big.Rat).SetInt64(n)
		part.Mul(part, new(big.Rat).SetFrac64(price, per))
		sum.Add(sum, part)
	}
	text, words := u.Prompt, u.Completion
	for _, part := range []struct {
		whole *int64
		n     int64
		kind  kind
	}{
		{&text, u.Cached, cachedInput}, {&text, u.CachedInputAudio, cachedInputAudio}, {&text, u.CacheWrite, cacheWrite},
		{&text, u.CacheWrite1h, cacheWrite1h}, {&text, u.InputAudio, inputAudio}, {&text, u.InputImage, inputImage},
		{&words, u.Reasoning, reasoning}, {&words, u.OutputAudio, outputAudio}, {&words, u.OutputImage, outputImage},
	} {
		*part.whole -= part.n
		add(part.n, r.tokens[part.kind], 1_000_000)
	}
	add(text, r.tokens[input], 1_000_000)
	add(words, r.tokens[output], 1_000_000)
	add(u.Images, r.image, 1)
	add(u.AudioMS, r.minute, 60_000)
	add(u.Characters, r.characters, 1_000_000)
	up := new(big.Int).Add(sum.Num(), new(big.Int).Sub(sum.Denom(), big.NewInt(1)))
	up.Div(up, sum.Denom())
	if up.Cmp(big.NewInt(MaxNano)) > 0 {
		return MaxNano
	}
	return up.Int64()
}

func drawRates(t *rapid.T, name string) (r rates) {
	price := rapid.OneOf(rapid.Int64Range(0, maxPrice), rapid.Int64Range(0, 1000), rapid.Int64Range(0, 1e12), rapid.Just(int64(0)), rapid.Just(int64(maxPrice)))
	for k := range r.tokens {
		r.tokens[k] = price.Draw(t, fmt.Sprint(name, k))
	}
	r.image, r.minute, r.characters = price.Draw(t, name+"image"), price.Draw(t, name+"minute"), price.Draw(t, name+"characters")
	return r
}

func drawPrices(t *rapid.T) *Prices {
	p := &Prices{short: drawRates(t, "short")}
	if rapid.Bool().Draw(t, "tiered") {
		p.above = rapid.OneOf(rapid.Int64Range(1, 1000), rapid.Int64Range(1, 1e6)).Draw(t, "above")
		p.long = drawRates(t, "long")
	}
	return p
}

func drawCount(t *rapid.T, name string) int64 {
	return rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 2000), rapid.Int64Range(0, 200_000), rapid.Int64Range(0, 1e10), rapid.Int64Range(maxTokens-2, maxTokens+2)).Draw(t, name)
}

func drawUsage(t *rapid.T) (u Usage) {
	for _, field := range []struct {
		name string
		into *int64
	}{{"prompt", &u.Prompt}, {"cached", &u.Cached}, {"cached audio", &u.CachedInputAudio}, {"write", &u.CacheWrite}, {"write 1h", &u.CacheWrite1h},
		{"audio in", &u.InputAudio}, {"images in", &u.InputImage}, {"completion", &u.Completion}, {"reasoning", &u.Reasoning},
		{"audio out", &u.OutputAudio}, {"images out", &u.OutputImage}, {"images", &u.Images}, {"ms", &u.AudioMS}, {"characters", &u.Characters}} {
		if rapid.Bool().Draw(t, "has "+field.name) {
			*field.into = drawCount(t, field.name)
		}
	}
	return u
}

// boundOf is the tightest bound around a usage.
func boundOf(u Usage) Bound {
	u = u.Clamped()
	b := Bound{Prompt: u.Prompt, Output: u.Completion, Images: u.Images, AudioMS: u.AudioMS, Characters: u.Characters}
	for _, some := range []struct {
		n    int64
		kind Kinds
	}{{u.InputAudio + u.CachedInputAudio, AudioIn}, {u.InputImage, ImageIn}, {u.CacheWrite1h, HourWrite}, {u.OutputAudio, AudioOut}, {u.OutputImage, ImageOut}} {
		if some.n == 0 {
			b.Without |= some.kind
		}
	}
	return b
}

func checkCost(t interface{ Fatalf(string, ...any) }, p *Prices, u Usage) {
	got := p.Cost(u)
	if want := bigCost(p, u); got != want {
		t.Fatalf("Cost(%+v) = %d, want %d", u, got, want)
	}
	if got < 0 || got > MaxNano {
		t.Fatalf("Cost(%+v) = %d", u, got)
	}
	b := boundOf(u)
	if worst := p.Worst(b); got > worst {
		t.Fatalf("cost %d of %+v above the worst case %d of %+v", got, u, worst, b)
	}
	b.Without = 0
	if worst := p.Worst(b); got > worst {
		t.Fatalf("cost %d of %+v above the worst case %d of %+v", got, u, worst, b)
	}
}

func TestCostAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkCost(t, drawPrices(t), drawUsage(t)) })
}

// A call within a bound never costs more than the bound says, however much less
// it is, and a wider bound never says less.
func TestWorst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, u := drawPrices(t), drawUsage(t).Clamped()
		b := boundOf(u)
		for _, n := range []*int64{&b.Prompt, &b.Output, &b.Images, &b.AudioMS, &b.Characters} {
			if rapid.Bool().Draw(t, "more") {
				before := p.Worst(b)
				*n += rapid.Int64Range(0, 1e9).Draw(t, "by")
				if after := p.Worst(b); after < before {
					t.Fatalf("the wider bound %+v: %d after %d", b, after, before)
				}
			}
		}
		if got, worst := p.Cost(u), p.Worst(b); got > worst {
			t.Fatalf("cost %d of %+v above the worst case %d of %+v", got, u, worst, b)
		}
		narrow := b
		narrow.Without |= Kinds(rapid.Uint16().Draw(t, "without"))
		if p.Worst(narrow) > p.Worst(b) {
			t.Fatal("fewer kinds of tokens cost more")
		}
	})
}

// More of anything never costs less, within one tier and where a longer prompt is
// not charged less.
func TestCostGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, u := drawPrices(t), drawUsage(t).Clamped()
		for k := range p.long.tokens { // no kind gets cheaper
			p.long.tokens[k] = max(p.long.tokens[k], p.short.tokens[k])
		}
		p.long.image, p.long.minute, p.long.characters = max(p.long.image, p.short.image), max(p.long.minute, p.short.minute), max(p.long.characters, p.short.characters)
		more := u
		for _, n := range []*int64{&more.Prompt, &more.Completion, &more.Images, &more.AudioMS, &more.Characters} {
			*n += rapid.Int64Range(0, 1e9).Draw(t, "more")
		}
		if less, cost := p.Cost(u), p.Cost(more); cost < less {
			t.Fatalf("%+v costs %d, and the greater %+v only %d", u, less, more, cost)
		}
	})
}

func TestAffords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPrices(t)
		nano := rapid.OneOf(rapid.Int64Range(0, 1e12), rapid.Int64Range(0, MaxNano-1)).Draw(t, "nano")
		b := boundOf(drawUsage(t))
		n := p.Affords(nano, b)
		cost := func(output int64) int64 {
			b.Output = output
			return p.Worst(b)
		}
		if n > 0 && cost(n) > nano {
			t.Fatalf("Affords = %d tokens, which cost %d of %d", n, cost(n), nano)
		}
		if n < maxTokens && cost(n+1) <= nano {
			t.Fatalf("Affords = %d tokens, but one more costs %d of %d", n, cost(n+1), nano)
		}
	})
}

func TestClamped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := drawUsage(t)
		c := u.Clamped()
		if c != c.Clamped() {
			t.Fatalf("clamping %+v again changes it", c)
		}
		sum := [2]int64{}
		for k, n := range c.tokens() {
			if n < 0 {
				t.Fatalf("%+v has %d tokens of kind %d", c, n, k)
			}
			if kind(k) < output {
				sum[0] += n
			} else {
				sum[1] += n
			}
		}
		if sum != [2]int64{c.Prompt, c.Completion} {
			t.Fatalf("the kinds of %+v sum up to %v", c, sum)
		}
	})
}

// FuzzUsage is about usage and prices that nobody thought of.
func FuzzUsage(f *testing.F) {
	f.Add(int64(1000), int64(400), int64(0), int64(7), int64(0), int64(0), int64(0), int64(50), int64(20), int64(0), int64(1), int64(0), int64(60_000), int64(0), int64(150_000_000), int64(600_000_000), int64(0))
	f.Add(int64(-1), int64(1)<<62, int64(1), int64(1), int64(1), int64(1), int64(1), int64(1)<<40, int64(1), int64(1), int64(1), int64(MaxNano)<<9, int64(-5), int64(9), int64(maxPrice), int64(1), int64(200_000))
	f.Fuzz(func(t *testing.T, prompt, cached, cachedAudio, write, write1h, audio, image, completion, reasoning, audioOut, imageOut, images, ms, characters, price, step, above int64) {
		u := Usage{Prompt: prompt, Cached: cached, CachedInputAudio: cachedAudio, CacheWrite: write, CacheWrite1h: write1h, InputAudio: audio, InputImage: image,
			Completion: completion, Reasoning: reasoning, OutputAudio: audioOut, OutputImage: imageOut, Images: images, AudioMS: ms, Characters: characters}
		p := &Prices{above: clamp(above, maxTokens)}
		next := func() int64 {
			price += step
			return clamp(price, maxPrice)
		}
		for k := range p.short.tokens {
			p.short.tokens[k], p.long.tokens[k] = next(), next()
		}
		p.short.image, p.short.minute, p.short.characters = next(), next(), next()
		p.long.image, p.long.minute, p.long.characters = next(), next(), next()
		checkCost(t, p, u)
	})
}

func mustPrices(t *testing.T, prices map[string]string, above int64, long map[string]string) *Prices {
	t.Helper()
	p, err := ParsePrices(prices, above, long)
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

func TestCostByHand(t *testing.T) {
	mini := mustPrices(t, map[string]string{"input": "0.15", "cached_input": "0.075", "output": "0.60"}, 0, nil)
	claude := mustPrices(t, map[string]string{"input": "3", "cached_input": "0.30", "cache_write": "3.75", "cache_write_1h": "6", "output": "15"},
		200_000, map[string]string{"input": "6", "cached_input": "0.60", "cache_write": "7.50", "cache_write_1h": "12", "output": "22.50"})
	audio := mustPrices(t, map[string]string{"input": "2.50", "input_audio": "40", "output": "10", "output_audio": "80"}, 0, nil)
	whisper := mustPrices(t, map[string]string{"minute": "0.006"}, 0, nil)
	speech := mustPrices(t, map[string]string{"million_characters": "15"}, 0, nil)
	picture := mustPrices(t, map[string]string{"image": "0.04"}, 0, nil)
	for _, c := range []struct {
		prices *Prices
		usage  Usage
		want   int64
	}{
		{mini, Usage{}, 0},
		{mini, Usage{Prompt: 1}, 150},
		{mini, Usage{Prompt: 1000, Cached: 400, Completion: 50, Reasoning: 20}, 600*150 + 400*75 + 50*600},
		{mini, Usage{Prompt: 10, Cached: 99}, 10 * 75},
		{mini, Usage{Prompt: -5, Completion: -7, Cached: -1}, 0},
		{claude, Usage{Prompt: 1000, Cached: 500, CacheWrite: 200, CacheWrite1h: 100, Completion: 10}, 200*3000 + 500*300 + 200*3750 + 100*6000 + 10*15000},
		{claude, Usage{Prompt: 200_000, Completion: 1}, 200_000*3000 + 15000},
		{claude, Usage{Prompt: 200_001, Cached: 200_000, Completion: 1}, 6000 + 200_000*600 + 22500},
		{audio, Usage{Prompt: 100, InputAudio: 60, CachedInputAudio: 10, Completion: 20, OutputAudio: 15}, 30*2500 + 70*40000 + 5*10000 + 15*80000},
		{whisper, Usage{AudioMS: 90_000}, 9_000_000},
		{whisper, Usage{AudioMS: 1, Prompt: 1000}, 100},
		{speech, Usage{Characters: 3}, 45_000},
		{picture, Usage{Images: 2, Prompt: 30}, 80_000_000},
	} {
		if got := c.prices.Cost(c.usage); got != c.want {
			t.Errorf("Cost(%+v) = %d, want %d", c.usage, got, c.want)
		}
	}
	// Two halves of 2^64 carry.
	carrying := Prices{}
	for k := range carrying.short.tokens {
		carrying.short.tokens[k] = 1 << 32
	}
	if got := carrying.Cost(Usage{Prompt: 1 << 31, Completion: 1 << 31}); got != (1<<64-1)/1_000_000+1 {
		t.Errorf("2^64 millionths cost %d", got)
	}
	// Rounded up once, on the sum: three thirds of a nano are one nano.
	tiny := Prices{}
	tiny.short.tokens = [kinds]int64{input: 333_334, cachedInput: 333_333, output: 333_333}
	if got := tiny.Cost(Usage{Prompt: 2, Cached: 1, Completion: 1}); got != 1 {
		t.Errorf("three thirds of a nano-dollar cost %d", got)
	}
	if got := tiny.Cost(Usage{Prompt: 1}); got != 1 {
		t.Errorf("a third of a nano-dollar costs %d", got)
	}
}

func TestParsePrices(t *testing.T) {
	p := mustPrices(t, map[string]string{"input": "1", "input_audio": "4", "cache_write": "2", "output": "3"}, 10, map[string]string{"input": "5", "output": "6"})
	want := Prices{above: 10}
	want.short.tokens = [kinds]int64{input: 1, cachedInput: 1, cachedInputAudio: 4, cacheWrite: 2, cacheWrite1h: 2, inputAudio: 4, inputImage: 1, output: 3, reasoning: 3, outputAudio: 3, outputImage: 3}
	want.long.tokens = [kinds]int64{input: 5, cachedInput: 5, cachedInputAudio: 5, cacheWrite: 5, cacheWrite1h: 5, inputAudio: 5, inputImage: 5, output: 6, reasoning: 6, outputAudio: 6, outputImage: 6}
	for k := range kinds {
		want.short.tokens[k] *= NanoPerUSD
		want.long.tokens[k] *= NanoPerUSD
	}
	if *p != want {
		t.Errorf("prices %+v", *p)
	}
	for _, free := range []map[string]string{{"input": "0", "output": "0"}, {"minute": "0"}} {
		if p := mustPrices(t, free, 0, nil); *p != (Prices{}) {
			t.Errorf("%v, stated as free: %+v", free, p)
		}
	}
}

func TestParsePricesFaults(t *testing.T) {
	for _, bad := range []string{"", "-1", "+1", "1e3", ".5", "1.", "0.0000000001", "NaN", "1,5", " 1", "٣", "0x1", "1000001", strings.Repeat("9", 40)} {
		if _, err := ParsePrices(map[string]string{"input": bad, "output": "1"}, 0, nil); err == nil {
			t.Errorf("price %q passed", bad)
		}
	}
	for _, c := range []struct {
		prices, long map[string]string
		above        int64
		want         []string
	}{
		{prices: map[string]string{"outputs": "1", "cached_input": "x"}, want: []string{"input is missing", "output is missing", "cached_input", "unknown price", "million_characters"}},
		{prices: map[string]string{"image": "1", "input": "1"}, want: []string{"output is missing"}},
		{prices: map[string]string{"image": "1"}, above: -1, want: []string{"above must be"}},
		{prices: map[string]string{"image": "1"}, long: map[string]string{"image": "2"}, want: []string{"above no number"}},
		{prices: map[string]string{"input": "1", "output": "1"}, above: 5, long: map[string]string{"input": "?"}, want: []string{"above: price input", "above: price output is missing"}},
	} {
		_, err := ParsePrices(c.prices, c.above, c.long)
		for _, part := range c.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%v does not say %q", err, part)
			}
		}
	}
}

func TestUSDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nano := rapid.Int64Range(0, MaxNano).Draw(t, "nano")
		if back, err := ParseUSD(FormatUSD(nano)); err != nil || back != nano {
			t.Fatalf("%d → %s → %d, %v", nano, FormatUSD(nano), back, err)
		}
	})
	for nano, want := range map[int64]string{0: "0.00", 1: "0.000000001", 1_500_000_000: "1.50", -20_000_000: "-0.02", 123_456_789_000: "123.456789", -1 << 63: "-9223372036.854775808"} {
		if got := FormatUSD(nano); got != want {
			t.Errorf("FormatUSD(%d) = %s, want %s", nano, got, want)
		}
	}
}
