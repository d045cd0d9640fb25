package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSecretsDoNotPrint(t *testing.T) {
	c := load(t, with("REDIS_URL", "redis://:redispass-secret@a,redis://:redispass-secret@b", "OPENAI_API_KEY", "sk-secret"), NeedServe)
	holder := struct{ inner Secret }{c.KeyPeppers[0]} // fmt reads unexported fields without asking their methods
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", c.KeyPeppers)
		fmt.Fprintf(&out, verb+"\n", c.DatabaseURL)
		fmt.Fprintf(&out, verb+"\n", c)
		fmt.Fprintf(&out, verb+"\n", *c)
		fmt.Fprintf(&out, verb+"\n", holder)
	}
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info("start", "config", c, "pepper", c.KeyPeppers[0], "all", c.RedisURLs)
	}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(raw)
	for _, secret := range []string{"-secret", "secret-", "secretAA", fmt.Sprintf("%x", "-secret")} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("a secret was printed: %q", secret)
		}
	}
	if !strings.Contains(c.String(), "\nDATABASE_URL=***\n") || !strings.Contains(c.String(), "\nLISTEN_ADDR=:8080\n") {
		t.Errorf("String:\n%s", c)
	}
	if !strings.Contains(c.String(), "\nANTHROPIC_API_KEY=\n") {
		t.Error("what is unset looks as if it were set")
	}
}

func TestUSD(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "0.5": 500_000_000, "0.50": 500_000_000, "1": 1_000_000_000, "0.000000001": 1,
		"12.345678901": 12_345_678_901, "007": 7_000_000_000,
	} {
		var u USD
		if err := u.UnmarshalText([]byte(text)); err != nil || u.Nano() != want {
			t.Errorf("%s: %d, %v", text, u, err)
		}
	}
	for _, text := range []string{"", ".", ".5", "5.", "-1", "+1", "1e3", "1,5", "0x1", " 1", "1.0000000001", "9223372036", "99999999999999999999", "½", "１"} {
		var u USD
		if err := u.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %d", text, u)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		want := USD(rapid.Int64Range(0, math.MaxInt64/nanosPerUSD*nanosPerUSD-nanosPerUSD).Draw(t, "nano"))
		var got USD
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Fatalf("%d prints %s and reads %d (%v)", int64(want), want, int64(got), err)
		}
	})
}

func TestNetworksContain(t *testing.T) {
	var n Networks
	if err := n.UnmarshalText([]byte("127.0.0.0/8,::1")); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"127.0.0.1": true, "::ffff:127.0.0.1": true, "::1": true, "::2": false, "10.0.0.1": false} {
		if got := n.Contains(netip.MustParseAddr(text)); got != want {
			t.Errorf("contains %s: %v", text, got)
		}
	}
}

func TestTelegramIDs(t *testing.T) {
	var ids TelegramIDs
	if err := ids.UnmarshalText([]byte("7, 4503599627370495")); err != nil || ids.String() != "7,4503599627370495" {
		t.Errorf("%v, %v", ids, err)
	}
	for _, bad := range []string{"", "7,", "-7", "0", "x", "4503599627370496", "1.5"} {
		if err := ids.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
