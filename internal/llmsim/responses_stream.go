package llmsim

import "fmt"

// event is one of the API's: it names its type and counts itself.
func (r *response) event(kind, more string) event {
	e := event{name: kind, data: fmt.Sprintf(`{"type":"%s","sequence_number":%d,%s}`, kind, r.events, more)}
	r.events++
	return e
}

func (r *response) open(*output) []event {
	object := `"response":` + r.object("in_progress", nil, "null")
	return []event{r.event("response.created", object), r.event("response.in_progress", object)}
}

// begin tells of thoughts that are not shown.
func (r *response) begin(o *output) []event {
	if o.hidden == 0 {
		return nil
	}
	item := r.items
	r.items++
	at := fmt.Sprintf(`"output_index":%d,"item":%s`, item, r.thought(item, ""))
	return []event{r.event("response.output_item.added", at), r.event("response.output_item.done", at)}
}

// piece carries a token, begins its item before the first of a run, and ends it
// after the last.
func (r *response) piece(o *output, i, _ int) []event {
	p := o.pieces[i]
	var events []event
	if i == 0 || o.pieces[i-1].last {
		r.items++
		events = r.start(o, p)
	}
	names := map[pieceKind]string{
		saidText: "output_text", saidRefusal: "refusal", saidThought: "reasoning_summary_text", saidArguments: "function_call_arguments",
	}
	more := `"delta":` + quoted(p.text)
	if p.kind == saidText {
		more += `,"logprobs":[]`
	}
	events = append(events, r.event("response."+names[p.kind]+".delta", r.at(p.kind)+","+more))
	if p.last {
		events = append(events, r.finish(o, p)...)
	}
	return events
}

// at is the place of an event: its item, and where in it.
func (r *response) at(kind pieceKind) string {
	item := r.items - 1
	switch kind {
	case saidThought:
		return fmt.Sprintf(`"item_id":"%s","output_index":%d,"summary_index":0`, r.itemID("rs", item), item)
	case saidArguments:
		return fmt.Sprintf(`"item_id":"%s","output_index":%d`, r.itemID("fc", item), item)
	case saidText, saidRefusal:
	}
	return fmt.Sprintf(`"item_id":"%s","output_index":%d,"content_index":0`, r.itemID("msg", item), item)
}

func (r *response) start(o *output, p piece) []event {
	item := r.items - 1
	added := func(object string) event {
		return r.event("response.output_item.added", fmt.Sprintf(`"output_index":%d,"item":%s`, item, object))
	}
	switch p.kind {
	case saidThought:
		return []event{added(r.thought(item, "")), r.event("response.reasoning_summary_part.added", r.at(p.kind)+`,"part":{"type":"summary_text","text":""}`)}
	case saidArguments:
		return []event{added(r.call(item, p.call, "in_progress", o.calls[p.call].name, ""))}
	case saidText, saidRefusal:
	}
	return []event{added(r.message(item, "in_progress", "")), r.event("response.content_part.added", r.at(p.kind)+`,"part":`+part(p.kind, ""))}
}

func (r *response) finish(o *output, p piece) []event {
	item, text := r.items-1, o.text(p.kind, p.call)
	done := func(object string) event {
		return r.event("response.output_item.done", fmt.Sprintf(`"output_index":%d,"item":%s`, item, object))
	}
	switch p.kind {
	case saidThought:
		return []event{
			r.event("response.reasoning_summary_text.done", r.at(p.kind)+`,"text":`+quoted(text)),
			r.event("response.reasoning_summary_part.done", r.at(p.kind)+`,"part":{"type":"summary_text","text":`+quoted(text)+`}`),
			done(r.thought(item, text)),
		}
	case saidArguments:
		name := o.calls[p.call].name
		return []event{
			r.event("response.function_call_arguments.done", r.at(p.kind)+`,"arguments":`+quoted(text)),
			done(r.call(item, p.call, "completed", name, text)),
		}
	case saidText, saidRefusal:
	}
	said := r.event("response.output_text.done", r.at(p.kind)+`,"logprobs":[],"text":`+quoted(text))
	if p.kind == saidRefusal {
		r.events--
		said = r.event("response.refusal.done", r.at(p.kind)+`,"refusal":`+quoted(text))
	}
	return []event{said, r.event("response.content_part.done", r.at(p.kind)+`,"part":`+part(p.kind, text)), done(r.message(item, "completed", part(p.kind, text)))}
}

func (r *response) failure() event {
	e := faultFor(500)
	return r.event("error", fmt.Sprintf(`"code":%s,"message":%s,"param":null`, quoted(*e.Code), quoted(e.Message)))
}

func (r *response) end(o *output) []event {
	var events []event
	if len(o.pieces) == 0 { // an empty message is a message
		r.items++
		empty := piece{kind: saidText}
		events = append(r.start(o, empty), r.finish(o, empty)...)
	}
	kind := "response.completed"
	if o.finish == finishLength {
		kind = "response.incomplete"
	}
	return append(events, r.event(kind, `"response":`+r.whole(o)))
}
