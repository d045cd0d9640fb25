package billing

import "math/bits"

const (
	maxPrice = 1_000_000 * NanoPerUSD

	// Prices are per million tokens or characters, per minute and per picture. Costs
	// are summed in a fraction of a nano-USD that divides all of them.
	fractions    = 3_000_000 // of a nano-USD
	perToken     = fractions / 1_000_000
	perImage     = fractions
	perAudioMS   = fractions / 60_000
	perCharacter = fractions / 1_000_000
)

// rates are what each kind of thing costs, in nano-USD.
type rates struct {
	tokens     [kinds]int64 // per million
	image      int64        // each
	minute     int64        // of audio
	characters int64        // per million
}

// Prices of a model, as ParsePrices reads them. The zero Prices are free.
type Prices struct {
	short rates
	above int64 // tokens: of a call with a longer prompt, all is charged by long; 0: never
	long  rates
}

// Bound is the most that a call can consume.
type Bound struct {
	Prompt     int64 // tokens in
	Output     int64 // tokens out, over all answers
	Images     int64 // pictures made
	AudioMS    int64 // milliseconds of audio, heard and made
	Characters int64 // of text to be spoken
	Without    Kinds // of tokens that the call cannot have; 0: it may have any
}

// Cost is the price of a usage, in nano-USD: the exact sum over all kinds, rounded
// up once, at most MaxNano.
func (p *Prices) Cost(u Usage) int64 {
	u = u.Clamped()
	r := &p.short
	if p.above > 0 && u.Prompt > p.above {
		r = &p.long
	}
	var sum product
	tokens := u.tokens()
	for k := range tokens {
		sum.add(tokens[k]*perToken, r.tokens[k])
	}
	sum.units(r, u.Images, u.AudioMS, u.Characters)
	return sum.nano()
}

// Worst is the most that a call within the bound can cost: each token at the
// dearest of the prices it may get.
func (p *Prices) Worst(b Bound) int64 {
	worst := p.short.worst(b)
	if p.above > 0 && b.Prompt > p.above {
		worst = max(worst, p.long.worst(b))
	}
	return worst
}

func (r *rates) worst(b Bound) int64 {
	sum := r.withoutOutput(b)
	sum.add(clamp(b.Output, maxTokens)*perToken, r.dearest(output, kinds, b.Without))
	return sum.nano()
}

func (r *rates) withoutOutput(b Bound) product {
	var sum product
	sum.add(clamp(b.Prompt, maxTokens)*perToken, r.dearest(input, output, b.Without))
	sum.units(r, clamp(b.Images, maxImages), clamp(b.AudioMS, maxAudioMS), clamp(b.Characters, maxCharacters))
	return sum
}

// OfUnits says whether the only prices are those of pictures, audio and characters:
// tokens then cost nothing.
func (p *Prices) OfUnits() bool {
	return p.short.tokens == [kinds]int64{} && p.long.tokens == [kinds]int64{} &&
		p.short.image+p.short.minute+p.short.characters > 0
}

// OfAudio says whether the length of audio costs anything.
func (p *Prices) OfAudio() bool { return p.short.minute > 0 || p.long.minute > 0 }

// Affords is the greatest number of output tokens, in place of the bound's own, for
// which Worst stays within nano. It is 0 where not even the rest, or no output, is
// affordable, and 2^40 where output is free.
func (p *Prices) Affords(nano int64, b Bound) int64 {
	n := p.short.affords(nano, b)
	if p.above > 0 && b.Prompt > p.above {
		n = min(n, p.long.affords(nano, b))
	}
	return n
}

func (r *rates) affords(nano int64, b Bound) int64 {
	spent := r.withoutOutput(b)
	hi, lo := bits.Mul64(uint64(clamp(nano, MaxNano)), fractions)
	lo, borrow := bits.Sub64(lo, spent.lo, 0)
	hi, borrow = bits.Sub64(hi, spent.hi, borrow)
	price := uint64(r.dearest(output, kinds, b.Without)) * perToken
	switch {
	case borrow != 0:
		return 0
	case price == 0 || hi >= price:
		return maxTokens
	}
	n, _ := bits.Div64(hi, lo, price)
	return int64(min(n, maxTokens))
}

// dearest is the highest price among the kinds from first to before end. The first
// one, plain text, can never be excluded.
func (r *rates) dearest(first, end kind, without Kinds) int64 {
	price := r.tokens[first]
	for k := first + 1; k < end; k++ {
		if !without.has(k) {
			price = max(price, r.tokens[k])
		}
	}
	return clamp(price, maxPrice)
}

// product is a 128-bit sum of products of non-negative numbers, in fractions of a
// nano-USD. Quantities are below 2^46 and prices at most 10^15, so that thousands
// of products cannot overflow it.
type product struct{ hi, lo uint64 }

func (s *product) add(quantity, price int64) {
	hi, lo := bits.Mul64(uint64(max(0, quantity)), uint64(clamp(price, maxPrice)))
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry)
}

// units adds what is not charged by the token.
func (s *product) units(r *rates, images, audioMS, characters int64) {
	s.add(images*perImage, r.image)
	s.add(audioMS*perAudioMS, r.minute)
	s.add(characters*perCharacter, r.characters)
}

func (s *product) nano() int64 {
	if s.hi >= fractions {
		return MaxNano
	}
	n, rest := bits.Div64(s.hi, s.lo, fractions)
	if n >= MaxNano {
		return MaxNano
	}
	if rest > 0 {
		n++
	}
	return int64(n)
}
