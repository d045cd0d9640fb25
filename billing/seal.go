package billing

import "crypto/subtle"

// Seal is a mark under a text that nobody else can make, such as a cursor's. purpose keeps
// texts of one kind from being taken for those of another.
func (k *Keys) Seal(purpose, text string) string { return k.peppers[0].mark(purpose, text) }

// Sealed tells, in constant time, whether a mark stands under the text: of the newest
// pepper or of one that is still configured.
func (k *Keys) Sealed(purpose, text, seal string) bool {
	sealed := false
	for _, p := range k.peppers {
		sealed = subtle.ConstantTimeCompare([]byte(p.mark(purpose, text)), []byte(seal)) == 1 || sealed
	}
	return sealed
}

// mark is 32 hexadecimal digits.
func (p *pepper) mark(purpose, text string) string {
	first, _ := p.digest("seal:" + purpose + ":" + text) // no API key begins so
	return first
}
