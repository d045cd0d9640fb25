package billing

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// bigCost is Cost in arbitrary precision.
func bigCost(p Prices, u Usage) int64 {
	u = u.Clamped()
	sum := new(big.Int)
	for _, part := range [][2]int64{
		{u.Prompt - u.Cached - u.CacheWrite, p.Input}, {u.Cached, p.CachedInput}, {u.CacheWrite, p.CacheWrite},
		{u.Completion - u.Reasoning, p.Output}, {u.Reasoning, p.Reasoning},
	} {
		sum.Add(sum, new(big.Int).Mul(big.NewInt(part[0]), big.NewInt(part[1])))
	}
	sum.Add(sum, big.NewInt(999_999)).Div(sum, big.NewInt(1_000_000))
	if sum.Cmp(big.NewInt(MaxNano)) > 0 {
		return MaxNano
	}
	return sum.Int64()
}

func drawPrices(t *rapid.T) Prices {
	price := rapid.OneOf(rapid.Int64Range(0, maxPrice), rapid.Int64Range(0, 1000), rapid.Int64Range(0, 1e12), rapid.Just(int64(0)), rapid.Just(int64(maxPrice)))
	return Prices{price.Draw(t, "input"), price.Draw(t, "cached"), price.Draw(t, "write"), price.Draw(t, "output"), price.Draw(t, "reasoning")}
}

func TestCostAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPrices(t)
		tokens := rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 200_000), rapid.Int64Range(0, 1e10), rapid.Int64Range(maxTokens-2, maxTokens+2))
		u := Usage{Prompt: tokens.Draw(t, "prompt"), Cached: tokens.Draw(t, "cached"), CacheWrite: tokens.Draw(t, "write"),
			Completion: tokens.Draw(t, "completion"), Reasoning: tokens.Draw(t, "reasoning")}
		got := p.Cost(u)
		if want := bigCost(p, u); got != want {
			t.Fatalf("Cost(%+v) = %d, want %d", u, got, want)
		}
		c := u.Clamped()
		if worst := p.Worst(c.Prompt, c.Completion); got > worst {
			t.Fatalf("cost %d above the worst case %d", got, worst)
		}
	})
}

func TestAffords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPrices(t)
		nano := rapid.OneOf(rapid.Int64Range(0, 1e12), rapid.Int64Range(0, MaxNano-1)).Draw(t, "nano")
		prompt := rapid.OneOf(rapid.Int64Range(0, 1e6), rapid.Int64Range(0, maxTokens)).Draw(t, "prompt")
		n := p.Affords(nano, prompt)
		if n > 0 && p.Worst(prompt, n) > nano {
			t.Fatalf("Affords = %d tokens, which cost %d of %d", n, p.Worst(prompt, n), nano)
		}
		if n < maxTokens && p.Worst(prompt, n+1) <= nano {
			t.Fatalf("Affords = %d tokens, but one more costs %d of %d", n, p.Worst(prompt, n+1), nano)
		}
	})
}

func TestCostByHand(t *testing.T) {
	p, err := ParsePrices(map[string]string{"input": "0.15", "cached_input": "0.075", "output": "0.60"})
	if err != nil {
		t.Fatal(err)
	}
	if p != (Prices{150_000_000, 75_000_000, 150_000_000, 600_000_000, 600_000_000}) {
		t.Fatalf("prices %+v", p)
	}
	for _, c := range []struct {
		usage Usage
		want  int64
	}{
		{Usage{}, 0},
		{Usage{Prompt: 1}, 150},
		{Usage{Prompt: 1000, Cached: 400, Completion: 50, Reasoning: 20}, 600*150 + 400*75 + 50*600},
		{Usage{Prompt: 10, Cached: 99}, 10 * 75},
		{Usage{Prompt: -5, Completion: -7, Cached: -1}, 0},
	} {
		if got := p.Cost(c.usage); got != c.want {
			t.Errorf("Cost(%+v) = %d, want %d", c.usage, got, c.want)
		}
	}
	// Two halves of 2^64 carry.
	carrying := Prices{Input: 1 << 32, CachedInput: 1 << 32, Output: 1 << 32, Reasoning: 1 << 32}
	if got := carrying.Cost(Usage{Prompt: 1 << 31, Completion: 1 << 31}); got != (1<<64-1)/1_000_000+1 {
		t.Errorf("2^64 millionths cost %d", got)
	}
	// Rounded up once, on the sum: three thirds of a nano are one nano.
	tiny := Prices{Input: 333_334, CachedInput: 333_333, Output: 333_333, Reasoning: 333_333}
	if got := tiny.Cost(Usage{Prompt: 2, Cached: 1, Completion: 1}); got != 1 {
		t.Errorf("three thirds of a nano-dollar cost %d", got)
	}
	if got := tiny.Cost(Usage{Prompt: 1}); got != 1 {
		t.Errorf("a third of a nano-dollar costs %d", got)
	}
}

func TestParsePricesFaults(t *testing.T) {
	for _, bad := range []string{"", "-1", "+1", "1e3", ".5", "1.", "0.0000000001", "NaN", "1,5", " 1", "٣", "0x1", "1000001", strings.Repeat("9", 40)} {
		if _, err := ParsePrices(map[string]string{"input": bad, "output": "1"}); err == nil {
			t.Errorf("price %q passed", bad)
		}
	}
	_, err := ParsePrices(map[string]string{"outputs": "1", "cached_input": "x"})
	for _, part := range []string{"input is missing", "output is missing", "cached_input", "unknown price"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
	if p, err := ParsePrices(map[string]string{"input": "0", "output": "0"}); err != nil || p != (Prices{}) {
		t.Errorf("stated as free: %+v, %v", p, err)
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
