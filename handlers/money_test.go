package handlers

import "testing"

func TestDollars(t *testing.T) {
	for nano, want := range map[int64]string{
		0: "$0.00", 500_000_000: "$0.50", 12_345: "$0.000012345", 1: "$0.000000001",
		1_234_567_890_123: "$1234.567890123", -5: "-$0.000000005", -2_500_000_000: "-$2.50",
	} {
		if got := dollars(nano); got != want {
			t.Errorf("dollars(%d) = %s, want %s", nano, got, want)
		}
	}
}

func TestCommand(t *testing.T) {
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
		name, args, ok := command(c.text, "kikubot")
		if name != c.name || args != c.args || ok != c.ok {
			t.Errorf("command(%q) = %q, %q, %v", c.text, name, args, ok)
		}
	}
}

func TestClipKeepsRunesWhole(t *testing.T) {
	if got := clip("aяя", 4); got != "aя" {
		t.Errorf("clip = %q", got)
	}
	if got := clip("abc", 8); got != "abc" {
		t.Errorf("clip = %q", got)
	}
}
