package billing

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

const (
	// NanoPerUSD is how many nano-USD, the unit of all amounts, make a dollar.
	NanoPerUSD = 1_000_000_000
	// MaxNano bounds every amount and balance: Lua's numbers are exact up to here.
	MaxNano = 1<<53 - 1

	tokensPerPrice = 1_000_000 // prices are per million tokens
	maxPrice       = 1_000_000 * NanoPerUSD
	maxTokens      = 1 << 40 // of one call; what a provider claims beyond it is not believed
)

// Prices of a model, in nano-USD per million tokens.
type Prices struct {
	Input, CachedInput, CacheWrite, Output, Reasoning int64
}

// Usage is what a call consumed, in tokens. Cached and CacheWrite are parts of
// Prompt, Reasoning is a part of Completion.
type Usage struct {
	Prompt, Cached, CacheWrite, Completion, Reasoning int64
	Estimated                                         bool // counted by us, not told by the provider
}

// Clamped makes sense of any usage: negatives become zero, no count exceeds
// 2^40 tokens, and the parts never exceed their whole.
func (u Usage) Clamped() Usage {
	u.Prompt = clamp(u.Prompt, maxTokens)
	u.Cached = clamp(u.Cached, u.Prompt)
	u.CacheWrite = clamp(u.CacheWrite, u.Prompt-u.Cached)
	u.Completion = clamp(u.Completion, maxTokens)
	u.Reasoning = clamp(u.Reasoning, u.Completion)
	return u
}

func clamp(n, most int64) int64 { return max(0, min(n, most)) }

// Cost is the price of a usage, in nano-USD: the exact sum over the kinds of
// tokens, rounded up once, at most MaxNano.
func (p Prices) Cost(u Usage) int64 {
	u = u.Clamped()
	var sum product
	sum.add(u.Prompt-u.Cached-u.CacheWrite, p.Input)
	sum.add(u.Cached, p.CachedInput)
	sum.add(u.CacheWrite, p.CacheWrite)
	sum.add(u.Completion-u.Reasoning, p.Output)
	sum.add(u.Reasoning, p.Reasoning)
	return sum.nano()
}

// Worst is the most that a call of so many prompt and output tokens can cost:
// each token at the dearest of the prices it may get.
func (p Prices) Worst(prompt, output int64) int64 {
	var sum product
	sum.add(clamp(prompt, maxTokens), p.dearestInput())
	sum.add(clamp(output, maxTokens), p.dearestOutput())
	return sum.nano()
}

// Affords is the greatest number of output tokens for which Worst(prompt, n)
// stays within nano. It is 0 where not even the prompt, or no output, is
// affordable, and 2^40 where output is free.
func (p Prices) Affords(nano, prompt int64) int64 {
	prompt = clamp(prompt, maxTokens)
	nano = clamp(nano, MaxNano)
	var spent product
	spent.add(prompt, p.dearestInput())
	hi, lo := bits.Mul64(uint64(nano), tokensPerPrice)
	lo, borrow := bits.Sub64(lo, spent.lo, 0)
	hi, borrow = bits.Sub64(hi, spent.hi, borrow)
	price := uint64(clamp(p.dearestOutput(), maxPrice))
	switch {
	case borrow != 0:
		return 0
	case price == 0 || hi >= price:
		return maxTokens
	}
	n, _ := bits.Div64(hi, lo, price)
	return int64(min(n, maxTokens))
}

func (p Prices) dearestInput() int64  { return max(p.Input, p.CachedInput, p.CacheWrite) }
func (p Prices) dearestOutput() int64 { return max(p.Output, p.Reasoning) }

// product is a 128-bit sum of products of non-negative numbers. Tokens are at
// most 2^40 and prices at most 10^15, so five products cannot overflow it.
type product struct{ hi, lo uint64 }

func (s *product) add(tokens, price int64) {
	hi, lo := bits.Mul64(uint64(max(0, tokens)), uint64(clamp(price, maxPrice)))
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry)
}

func (s *product) nano() int64 {
	if s.hi >= tokensPerPrice {
		return MaxNano
	}
	n, rest := bits.Div64(s.hi, s.lo, tokensPerPrice)
	if n >= MaxNano {
		return MaxNano
	}
	if rest > 0 {
		n++
	}
	return int64(n)
}

// ParsePrices reads a model's prices: decimal strings in USD per million tokens
// under the names input, cached_input, cache_write, output and reasoning. Input
// and output are required; "0" says free, silence never does. What is left out
// costs what its whole costs: cached_input and cache_write as input, reasoning
// as output. All faults are reported together.
func ParsePrices(raw map[string]string) (Prices, error) {
	var p Prices
	fields := []struct {
		name string
		into *int64
		like *int64 // nil: required
	}{
		{"input", &p.Input, nil},
		{"output", &p.Output, nil},
		{"cached_input", &p.CachedInput, &p.Input},
		{"cache_write", &p.CacheWrite, &p.Input},
		{"reasoning", &p.Reasoning, &p.Output},
	}
	var faults []error
	known := 0
	for _, f := range fields {
		text, stated := raw[f.name]
		switch {
		case stated:
			known++
			price, err := ParseUSD(text)
			if err == nil && price > maxPrice {
				err = errors.New("above 1000000 USD")
			}
			if err != nil {
				faults = append(faults, fmt.Errorf("price %s: %w", f.name, err))
			}
			*f.into = price
		case f.like != nil:
			*f.into = *f.like
		default:
			faults = append(faults, fmt.Errorf("price %s is missing", f.name))
		}
	}
	if known < len(raw) {
		faults = append(faults, errors.New("unknown price; there are input, cached_input, cache_write, output, reasoning"))
	}
	if len(faults) > 0 {
		return Prices{}, errors.Join(faults...)
	}
	return p, nil
}

// ParseUSD reads a non-negative decimal such as "1.50" as nano-USD, exactly: no
// sign, no exponent, at most nine decimals, at most MaxNano.
func ParseUSD(text string) (int64, error) {
	whole, fraction, dotted := strings.Cut(text, ".")
	if len(text) > 32 || whole == "" || dotted && fraction == "" {
		return 0, errors.New("not a decimal such as 1.50")
	}
	if len(fraction) > 9 {
		return 0, errors.New("finer than a nano-dollar (nine decimals)")
	}
	var nano uint64
	for _, digit := range whole + fraction + "000000000"[len(fraction):] {
		if digit < '0' || digit > '9' {
			return 0, errors.New("not a decimal such as 1.50")
		}
		nano = nano*10 + uint64(digit-'0')
		if nano > MaxNano {
			return 0, errors.New("above 9007199 USD")
		}
	}
	return int64(nano), nil
}

// FormatUSD writes nano-USD as a decimal with two to nine decimals: "1.50".
func FormatUSD(nano int64) string {
	sign := ""
	magnitude := uint64(nano)
	if nano < 0 {
		sign, magnitude = "-", -magnitude
	}
	text := fmt.Sprintf("%s%d.%09d", sign, magnitude/NanoPerUSD, magnitude%NanoPerUSD)
	trimmed := strings.TrimRight(text, "0")
	return text[:max(len(trimmed), len(text)-7)]
}
