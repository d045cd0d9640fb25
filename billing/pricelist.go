package billing

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// tokenPrices are the names of the prices of tokens, in USD per million, and what
// a kind without a price costs: as much as another kind, which comes earlier.
var tokenPrices = [kinds]struct {
	name string
	like kind
}{
	input:            {"input", input},
	cachedInput:      {"cached_input", input},
	cachedInputAudio: {"cached_input_audio", inputAudio},
	cacheWrite:       {"cache_write", input},
	cacheWrite1h:     {"cache_write_1h", cacheWrite},
	inputAudio:       {"input_audio", input},
	inputImage:       {"input_image", input},
	output:           {"output", output},
	reasoning:        {"reasoning", output},
	outputAudio:      {"output_audio", output},
	outputImage:      {"output_image", output},
}

// Names of prices that are not of tokens.
const (
	imagePrice     = "image"              // USD for each picture made
	minutePrice    = "minute"             // USD per minute of audio
	characterPrice = "million_characters" // USD per million characters spoken
)

// ParsePrices reads a model's prices: decimal strings in USD, per million tokens
// under the names input, cached_input, cached_input_audio, cache_write (kept for
// minutes), cache_write_1h, input_audio, input_image, output, reasoning,
// output_audio and output_image; and under image (each), minute (of audio) and
// million_characters.
//
// Input and output are required; "0" says free, silence never does. Only where one
// of the last three is stated may both be left out: tokens are then free. Any other
// kind of token that is left out costs what its whole costs: cached_input,
// cache_write, input_audio and input_image as input, cached_input_audio as
// input_audio, cache_write_1h as cache_write, the rest as output.
//
// With above > 0, a call whose prompt has more than so many tokens is charged by
// the prices long as a whole. All faults are reported together.
func ParsePrices(prices map[string]string, above int64, long map[string]string) (Prices, error) {
	var p Prices
	var faults []error
	p.short, faults = parseRates(prices, "")
	switch {
	case above < 0 || above > maxTokens:
		faults = append(faults, errors.New("above must be a number of tokens"))
	case above > 0:
		var more []error
		p.above = above
		p.long, more = parseRates(long, "above: ")
		faults = append(faults, more...)
	case len(long) > 0:
		faults = append(faults, errors.New("prices above no number of tokens"))
	}
	if len(faults) > 0 {
		return Prices{}, errors.Join(faults...)
	}
	return p, nil
}

func parseRates(raw map[string]string, where string) (r rates, faults []error) {
	known := 0
	read := func(name string, into *int64) bool {
		text, stated := raw[name]
		if !stated {
			return false
		}
		known++
		price, err := ParseUSD(text)
		if err == nil && price > maxPrice {
			err = errors.New("above 1000000 USD")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%sprice %s: %w", where, name, err))
		}
		*into = price
		return true
	}
	read(imagePrice, &r.image)
	read(minutePrice, &r.minute)
	read(characterPrice, &r.characters)
	units := known > 0
	var stated [kinds]bool
	for k, price := range tokenPrices {
		stated[k] = read(price.name, &r.tokens[k])
	}
	free := units && !slices.Contains(stated[:], true)
	for _, k := range []kind{input, output} {
		if !stated[k] && !free {
			faults = append(faults, fmt.Errorf("%sprice %s is missing", where, tokenPrices[k].name))
		}
	}
	r.complete(&stated)
	if known < len(raw) {
		faults = append(faults, fmt.Errorf("%sunknown price; there are %s", where, strings.Join(priceNames(), ", ")))
	}
	return r, faults
}

// complete gives kinds without a price that of another. Audio comes before cached
// audio, whatever their order is elsewhere.
func (r *rates) complete(stated *[kinds]bool) {
	for _, k := range []kind{cachedInput, cacheWrite, cacheWrite1h, inputAudio, cachedInputAudio, inputImage, reasoning, outputAudio, outputImage} {
		if !stated[k] {
			r.tokens[k] = r.tokens[tokenPrices[k].like]
		}
	}
}

func priceNames() []string {
	names := make([]string, 0, kinds+3)
	for _, price := range tokenPrices {
		names = append(names, price.name)
	}
	return append(names, imagePrice, minutePrice, characterPrice)
}
