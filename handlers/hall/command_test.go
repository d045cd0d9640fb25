package hall

import "testing"

func TestCommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, name, args string
		ok               bool
	}{
		{"/start", "start", "", true},
		{"/Start@KikuBot ref_1", "start", "ref_1", true},
		{"/start@OtherBot", "", "", false},
		{"/newkey  my laptop ", "newkey", "my laptop", true},
		{"/newkey\nlaptop", "newkey", "laptop", true},
		{"hello /start", "", "", false},
		{"/", "", "", false},
		{"/@KikuBot", "", "", false},
	} {
		name, args, ok := Command(c.text, "kikubot")
		if name != c.name || args != c.args || ok != c.ok {
			t.Errorf("command(%q) = %q, %q, %v", c.text, name, args, ok)
		}
	}
}

func TestClipKeepsRunesWhole(t *testing.T) {
	t.Parallel()
	if got := Clip("aяя", 4); got != "aя" {
		t.Errorf("clip = %q", got)
	}
	if got := Clip("abc", 8); got != "abc" {
		t.Errorf("clip = %q", got)
	}
}
