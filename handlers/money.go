package handlers

import (
	"fmt"
	"strings"
)

const nanoPerUSD = 1_000_000_000

// dollars writes nano-USD as dollars with at least two decimals and as many more as
// are needed to be exact: 500000000 → "$0.50", 12345 → "$0.000012345".
func dollars(nano int64) string {
	sign := ""
	whole, fraction := nano/nanoPerUSD, nano%nanoPerUSD
	if nano < 0 {
		sign, whole, fraction = "-", -whole, -fraction
	}
	decimals := strings.TrimRight(fmt.Sprintf("%09d", fraction), "0")
	for len(decimals) < 2 {
		decimals += "0"
	}
	return fmt.Sprintf("%s$%d.%s", sign, whole, decimals)
}
