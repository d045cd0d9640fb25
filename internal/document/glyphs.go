package document

import "golang.org/x/text/unicode/norm"

// glyphNames are what glyphs' names of more than a letter stand for, as fonts of Western
// texts use them.
const glyphNames = ` exclam=! quotedbl=" numbersign=# dollar=$ percent=% ampersand=& quotesingle=' parenleft=( parenright=) asterisk=* ` +
	`plus=+ comma=, hyphen=- minus=− period=. slash=/ zero=0 one=1 two=2 three=3 four=4 five=5 six=6 seven=7 eight=8 nine=9 colon=: ` +
	`semicolon=; less=< equal== greater=> question=? at=@ bracketleft=[ backslash=\ bracketright=] asciicircum=^ underscore=_ grave=` + "`" +
	` braceleft={ bar=| braceright=} asciitilde=~ exclamdown=¡ cent=¢ sterling=£ currency=¤ yen=¥ brokenbar=¦ section=§ copyright=© ` +
	`ordfeminine=ª guillemotleft=« logicalnot=¬ registered=® degree=° plusminus=± mu=µ paragraph=¶ periodcentered=· ordmasculine=º ` +
	`guillemotright=» onequarter=¼ onehalf=½ threequarters=¾ questiondown=¿ multiply=× divide=÷ germandbls=ß AE=Æ ae=æ OE=Œ oe=œ ` +
	`Oslash=Ø oslash=ø Aring=Å aring=å Eth=Ð eth=ð Thorn=Þ thorn=þ Lslash=Ł lslash=ł dotlessi=ı florin=ƒ endash=– emdash=— ` +
	`quoteleft=‘ quoteright=’ quotesinglbase=‚ quotedblleft=“ quotedblright=” quotedblbase=„ dagger=† daggerdbl=‡ bullet=• ` +
	`ellipsis=… perthousand=‰ guilsinglleft=‹ guilsinglright=› fraction=⁄ Euro=€ trademark=™ fi=fi fl=fl ff=ff ffi=ffi ffl=ffl ` +
	`arrowright=→ arrowleft=← lessequal=≤ greaterequal=≥ notequal=≠ infinity=∞ summation=∑ product=∏ radical=√ integral=∫ ` +
	`alpha=α beta=β gamma=γ delta=δ epsilon=ε lambda=λ pi=π sigma=σ omega=ω Delta=Δ Omega=Ω `

// accents are how names of accented letters end, with the accent that combines.
var accents = map[string]string{
	"acute": "\u0301", "grave": "\u0300", "circumflex": "\u0302", "tilde": "\u0303", "dieresis": "\u0308", "cedilla": "\u0327",
	"caron": "\u030C", "ring": "\u030A", "macron": "\u0304", "ogonek": "\u0328", "dotaccent": "\u0307", "breve": "\u0306", "hungarumlaut": "\u030B",
}

func composed(base, accent string) string { return norm.NFC.String(base + accent) }
