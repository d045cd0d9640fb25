package llm

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// TestChatKeepsNothing: what would be kept at the provider, or is there, is refused by
// name, however it is spelled: all accounts share ours there.
func TestChatKeepsNothing(t *testing.T) {
	say := func(message string) string {
		return `{"model":"m","messages":[{"role":"user","content":"hi"},` + message + `]}`
	}
	part := func(json string) string {
		return `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x"},` + json + `]}]}`
	}
	for body, want := range map[string]string{
		with(`"store":true`):                                           "store",
		with(`"store":"yes"`):                                          "store",
		with(`"Store":true`):                                           "store",
		with(`"store":false,"store":true`):                             "store",
		with(`"deferred":true`):                                        "deferred",
		with(`"Deferred":true`):                                        "deferred",
		with(`"audio":{"format":"mp3","voice":{"id":"voice_1"}}`):      "audio.voice",
		with(`"extra_body":{"google":{"cached_content":"c"}}`):         "extra_body.google.cached_content",
		with(`"cached_content":"c"`):                                   "cached_content",
		with(`"preset":"p"`):                                           "preset",
		say(`{"role":"assistant","audio":{"id":"audio_1"}}`):           "messages[1].audio",
		say(`{"role":"assistant","content":"x","Audio":{"id":"a"}}`):   "messages[1].audio",
		part(`{"type":"file","file":{"file_id":"f"}}`):                 "messages[0].content[1].file.file_id",
		part(`{"type":"file","file":{"filename":"a","File_ID":"f"}}`):  "messages[0].content[1].file.file_id",
		part(`{"type":"file","file":{"file\u005fid":"f"}}`):            "messages[0].content[1].file.file_id",
		part(`{"type":"file","file_id":"f"}`):                          "messages[0].content[1].file_id",
		part(`{"type":"image_url","image_url":[{"file_id":"f"}]}`):     "messages[0].content[1].image_url.file_id",
		part(`{"type":"video_url","video_url":{"url":"ms://file-1"}}`): "messages[0].content[1].video_url.url",
		part(`{"type":"image_url","image_url":"gs://bucket/a.png"}`):   "messages[0].content[1].image_url",
	} {
		_, err := ParseChat([]byte(body))
		var refused *RequestError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if refused.Param != want || refused.Message == "" {
			t.Errorf("%s: param %q (%s), want %q", body, refused.Param, refused.Message, want)
		}
	}
	for _, body := range []string{
		with(`"store":false,"deferred":false,"audio":{"format":"mp3","voice":"alloy"}`),
		with(`"store":null,"deferred":null,"audio":null,"preset":null,"extra_body":{"google":{"thinking_config":{}}}`),
		say(`{"role":"assistant","content":"x","audio":null}`),
		part(`{"type":"file","file":{"file_id":null,"file_data":"data:application/pdf;base64,AAAA"}}`),
		part(`{"type":"image_url","image_url":{"url":"https://x/y.png"}}`),
		part(`{"type":"image_url","image_url":{"url":"HTTP://x/y.png"}}`),
		part(`{"type":"image_url","image_url":{"url":"data:image/png;base64,AA://A"}}`),
		part(`{"type":"text","text":"file_id ms://x"}`),
	} {
		if _, err := ParseChat([]byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestChatUnkept: OpenAI keeps the chat completions of newer accounts unless it is told not
// to. Other servers, which may refuse a field that they do not know, are told nothing.
func TestChatUnkept(t *testing.T) {
	openai := deployment(t, "base_url: https://api.openai.com/v1, responses: false", "m")
	server := deployment(t, "base_url: http://127.0.0.1:1/v1", "m")
	messages, err := ParseMessages([]byte(`{"model":"m","max_tokens":50,`+hello+`}`), MessagesHeaders{})
	if err != nil {
		t.Fatal(err)
	}
	responses, err := ParseResponses([]byte(`{"model":"m","max_output_tokens":50,"input":"hi"}`))
	if err != nil {
		t.Fatal(err)
	}
	requests := []*Request{messages, responses}
	for _, member := range []string{`"x":1`, `"store":null`, `"store":false`, `"x":1,"store": null`} {
		r, err := ParseChat([]byte(with(member)))
		if err != nil {
			t.Fatal(err)
		}
		requests = append(requests, r)
	}
	for _, r := range requests {
		out, _, err := r.For(openai, 50, nil)
		if err != nil || gjson.GetBytes(out.Body, "store").Raw != "false" || bytes.Count(out.Body, []byte("store")) != 1 || !gjson.ValidBytes(out.Body) {
			t.Errorf("%s became %s, %v", r.body, out.Body, err)
		}
		out, _, err = r.For(server, 50, nil)
		if err != nil || strings.Contains(string(out.Body), "store") != strings.Contains(r.body, "store") {
			t.Errorf("%s became %s, %v", r.body, out.Body, err)
		}
	}
}
