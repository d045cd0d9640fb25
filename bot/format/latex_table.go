package format

// What a formula's commands look like in plain characters.

var texSymbols = map[string]string{
	"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
	"theta": "θ", "vartheta": "ϑ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π",
	"rho": "ρ", "varrho": "ϱ", "sigma": "σ", "varsigma": "ς", "tau": "τ", "upsilon": "υ", "phi": "ϕ", "varphi": "φ",
	"chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π",
	"Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "infty": "∞", "partial": "∂", "nabla": "∇",
	"forall": "∀", "exists": "∃", "nexists": "∄", "emptyset": "∅", "varnothing": "∅", "ell": "ℓ", "hbar": "ℏ", "Re": "ℜ",
	"Im": "ℑ", "aleph": "ℵ", "angle": "∠", "degree": "°", "circ": "∘", "prime": "′", "neg": "¬", "lnot": "¬", "top": "⊤",
	"bot": "⊥", "sum": "∑", "prod": "∏", "int": "∫", "iint": "∬", "iiint": "∭", "oint": "∮", "bigcup": "⋃",
	"bigcap": "⋂", "ldots": "…", "cdots": "⋯", "dots": "…", "vdots": "⋮", "ddots": "⋱", "dotsc": "…", "dotsb": "⋯",
	"lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "langle": "⟨", "rangle": "⟩", "lvert": "|", "rvert": "|",
	"vert": "|", "lVert": "‖", "rVert": "‖", "Vert": "‖", "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]",
	"triangle": "△", "square": "□", "blacksquare": "■", "star": "⋆", "dagger": "†", "checkmark": "✓", "imath": "ı",
	"jmath": "ȷ", "quad": " \x01 ", "qquad": " \x01\x01 ", "displaystyle": "", "textstyle": "", "limits": "",
	"nolimits": "", "nonumber": "", "notag": "", "hline": "", "backslash": "\\", "colon": ":", "therefore": "∴",
	"because": "∵",
}

// texOperators have room on both sides.
var texOperators = map[string]string{
	"times": "×", "div": "÷", "cdot": "·", "pm": "±", "mp": "∓", "ast": "∗", "oplus": "⊕", "otimes": "⊗", "odot": "⊙",
	"wedge": "∧", "land": "∧", "vee": "∨", "lor": "∨", "cup": "∪", "cap": "∩", "setminus": "∖", "bmod": "mod",
	"mod": "mod", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠", "ne": "≠", "approx": "≈", "sim": "∼",
	"simeq": "≃", "cong": "≅", "equiv": "≡", "propto": "∝", "ll": "≪", "gg": "≫", "lt": "<", "gt": ">", "leqslant": "⩽",
	"geqslant": "⩾", "in": "∈", "notin": "∉", "ni": "∋", "subset": "⊂", "subseteq": "⊆", "supset": "⊃", "supseteq": "⊇",
	"mid": "|", "parallel": "∥", "perp": "⊥", "models": "⊨", "vdash": "⊢", "coloneqq": "≔", "triangleq": "≜", "to": "→",
	"rightarrow": "→", "longrightarrow": "⟶", "leftarrow": "←", "gets": "←", "leftrightarrow": "↔", "Rightarrow": "⇒",
	"implies": "⇒", "Longrightarrow": "⟹", "Leftarrow": "⇐", "Leftrightarrow": "⇔", "iff": "⇔", "mapsto": "↦",
	"uparrow": "↑", "downarrow": "↓", "rightleftharpoons": "⇌", "hookrightarrow": "↪", "nearrow": "↗", "searrow": "↘",
}

var texFunctions = map[string]bool{
	"sin": true, "cos": true, "tan": true, "cot": true, "sec": true, "csc": true, "arcsin": true, "arccos": true, "arctan": true,
	"sinh": true, "cosh": true, "tanh": true, "log": true, "ln": true, "lg": true, "exp": true, "lim": true, "limsup": true,
	"liminf": true, "max": true, "min": true, "sup": true, "inf": true, "det": true, "dim": true, "ker": true, "gcd": true,
	"arg": true, "deg": true, "hom": true, "Pr": true, "argmax": true, "argmin": true, "tr": true, "rank": true, "sgn": true,
	"softmax": true,
}

// texAccents are marks that join the character before them.
var texAccents = map[string]string{
	"hat": "\u0302", "widehat": "\u0302", "bar": "\u0304", "overline": "\u0304", "vec": "\u20D7", "tilde": "\u0303",
	"widetilde": "\u0303", "dot": "\u0307", "ddot": "\u0308",
}

var texDouble = map[string]string{
	"R": "ℝ", "N": "ℕ", "Z": "ℤ", "Q": "ℚ", "C": "ℂ", "P": "ℙ", "H": "ℍ", "E": "𝔼", "F": "𝔽", "1": "𝟙",
}

// texLines are environments of lines; texMatrices those of rows, with what stands
// beside each row.
var (
	texLines = map[string]bool{
		"align": true, "aligned": true, "gather": true, "gathered": true, "split": true, "equation": true, "cases": true, "multline": true,
	}
	texMatrices = map[string][2]string{
		"matrix": {"", ""}, "array": {"", ""}, "pmatrix": {"(", ")"}, "bmatrix": {"[", "]"}, "vmatrix": {"|", "|"},
		"Bmatrix": {"{", "}"}, "Vmatrix": {"‖", "‖"}, "smallmatrix": {"", ""},
	}
)

var texRaised = map[rune]rune{
	'0': '⁰', '1': '¹', '2': '²', '3': '³', '4': '⁴', '5': '⁵', '6': '⁶', '7': '⁷', '8': '⁸', '9': '⁹', '+': '⁺',
	'-': '⁻', '−': '⁻', '=': '⁼', '(': '⁽', ')': '⁾', 'n': 'ⁿ', 'i': 'ⁱ', 'j': 'ʲ', 'a': 'ᵃ', 'b': 'ᵇ', 'c': 'ᶜ',
	'd': 'ᵈ', 'e': 'ᵉ', 'f': 'ᶠ', 'g': 'ᵍ', 'h': 'ʰ', 'k': 'ᵏ', 'l': 'ˡ', 'm': 'ᵐ', 'o': 'ᵒ', 'p': 'ᵖ', 'r': 'ʳ',
	's': 'ˢ', 't': 'ᵗ', 'u': 'ᵘ', 'v': 'ᵛ', 'w': 'ʷ', 'x': 'ˣ', 'y': 'ʸ', 'z': 'ᶻ', 'A': 'ᴬ', 'B': 'ᴮ', 'D': 'ᴰ',
	'E': 'ᴱ', 'G': 'ᴳ', 'H': 'ᴴ', 'I': 'ᴵ', 'J': 'ᴶ', 'K': 'ᴷ', 'L': 'ᴸ', 'M': 'ᴹ', 'N': 'ᴺ', 'O': 'ᴼ', 'P': 'ᴾ',
	'R': 'ᴿ', 'T': 'ᵀ', 'U': 'ᵁ', 'V': 'ⱽ', 'W': 'ᵂ', '′': '′', '∘': '°', '∗': '*', '*': '*', 'β': 'ᵝ', 'γ': 'ᵞ',
	'δ': 'ᵟ', 'θ': 'ᶿ', 'φ': 'ᵠ', 'χ': 'ᵡ', '†': '†', '⊤': 'ᵀ',
}

var texLowered = map[rune]rune{
	'0': '₀', '1': '₁', '2': '₂', '3': '₃', '4': '₄', '5': '₅', '6': '₆', '7': '₇', '8': '₈', '9': '₉', '+': '₊',
	'-': '₋', '−': '₋', '=': '₌', '(': '₍', ')': '₎', 'a': 'ₐ', 'e': 'ₑ', 'h': 'ₕ', 'i': 'ᵢ', 'j': 'ⱼ', 'k': 'ₖ',
	'l': 'ₗ', 'm': 'ₘ', 'n': 'ₙ', 'o': 'ₒ', 'p': 'ₚ', 'r': 'ᵣ', 's': 'ₛ', 't': 'ₜ', 'u': 'ᵤ', 'v': 'ᵥ', 'x': 'ₓ',
	'β': 'ᵦ', 'γ': 'ᵧ', 'ρ': 'ᵨ', 'φ': 'ᵩ', 'χ': 'ᵪ',
}
