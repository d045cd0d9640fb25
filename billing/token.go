package billing

import (
	"crypto/rand"
	"hash/crc32"
	"math/big"
	"strconv"
	"strings"
)

// An API key is kk_<account>_<secret>_<checksum>: the account in decimal, 256
// random bits as 43 digits of base 62, and the CRC-32 of all before it as 6, so
// that a mistyped key is refused without a look-up and scanners can know one.
const (
	keyPrefix      = "kk_"
	secretBytes    = 32
	secretDigits   = 43
	checksumDigits = 6
	maxKeyLength   = len(keyPrefix) + 16 + 1 + secretDigits + 1 + checksumDigits
	maxAccount     = 1<<52 - 1

	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// mintToken makes a new key of the account.
func mintToken(account int64) string {
	var secret [secretBytes]byte
	_, _ = rand.Read(secret[:]) // never fails: the runtime aborts first
	digits := new(big.Int).SetBytes(secret[:])
	body := keyPrefix + strconv.FormatInt(account, 10) + "_" + base62Digits(digits, secretDigits)
	return body + "_" + checksum(body)
}

func base62Digits(n *big.Int, width int) string {
	digits := make([]byte, width)
	base, digit := big.NewInt(62), new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		digits[i] = base62[digit.Int64()]
	}
	return string(digits)
}

func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	var digits [checksumDigits]byte
	for i := checksumDigits - 1; i >= 0; i-- {
		digits[i] = base62[sum%62]
		sum /= 62
	}
	return string(digits[:])
}

// accountOf reads the account id from a well-formed key.
func accountOf(token string) (int64, error) {
	if len(token) > maxKeyLength || !strings.HasPrefix(token, keyPrefix) {
		return 0, ErrKeyMalformed
	}
	tail := len(token) - checksumDigits - 1
	middle := tail - secretDigits - 1
	if middle <= len(keyPrefix) || token[tail] != '_' || token[middle] != '_' {
		return 0, ErrKeyMalformed
	}
	if !isBase62(token[middle+1:tail]) || checksum(token[:tail]) != token[tail+1:] {
		return 0, ErrKeyMalformed
	}
	digits := token[len(keyPrefix):middle]
	account, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || account <= 0 || account > maxAccount || digits[0] < '1' || digits[0] > '9' {
		return 0, ErrKeyMalformed
	}
	return account, nil
}

func isBase62(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// hintOf is what may be shown of a key: enough to tell one's keys apart.
func hintOf(account int64, token string) string {
	return keyPrefix + strconv.FormatInt(account, 10) + "_…" + token[len(token)-4:]
}
