package telegramsim

// Entities that exclude each other, or may only hold one another whole (TDLib: MessageEntity.cpp, fix_entities).
var (
	splittable = map[string]bool{"bold": true, "italic": true, "underline": true, "strikethrough": true, "spoiler": true}
	quotations = map[string]bool{"blockquote": true, "expandable_blockquote": true}
	monowidth  = map[string]bool{"pre": true, "code": true, "date_time": true}
)

// nested makes entities follow Telegram's rules, which costs those that do not: links, code and the like never
// overlap, quotations neither overlap nor are cut by those, and styles end where code begins.
func nested(entities []Entity) []Entity {
	var styles, quotes, others []Entity
	sorted := append([]Entity(nil), entities...)
	sortEntities(sorted)
	for _, e := range sorted {
		switch {
		case splittable[e.Type]:
			styles = append(styles, e)
		case quotations[e.Type]:
			quotes = append(quotes, e)
		default:
			others = append(others, e)
		}
	}
	quotes = apart(quotes)
	var kept []Entity
	for _, e := range apart(others) {
		if !cuts(e, quotes) {
			kept = append(kept, e)
		}
	}
	for _, e := range styles {
		kept = append(kept, outside(e, kept)...)
	}
	kept = append(kept, quotes...)
	sortEntities(kept)
	return kept
}

// apart drops each entity that overlaps one before it.
func apart(sorted []Entity) []Entity {
	var kept []Entity
	end := 0
	for _, e := range sorted {
		if e.Offset >= end {
			kept = append(kept, e)
			end = e.Offset + e.Length
		}
	}
	return kept
}

// cuts tells whether an entity lies partly in a quotation, or holds one.
func cuts(e Entity, quotes []Entity) bool {
	for _, q := range quotes {
		overlaps := e.Offset < q.Offset+q.Length && q.Offset < e.Offset+e.Length
		inside := q.Offset <= e.Offset && e.Offset+e.Length <= q.Offset+q.Length
		if overlaps && !inside {
			return true
		}
	}
	return false
}

// outside is what is left of a style where code is taken out of it.
func outside(e Entity, others []Entity) []Entity {
	left := []Entity{e}
	for _, code := range others {
		if !monowidth[code.Type] {
			continue
		}
		var next []Entity
		for _, piece := range left {
			begin, end := piece.Offset, piece.Offset+piece.Length
			if to := min(end, code.Offset); begin < to {
				before := piece
				before.Length = to - begin
				next = append(next, before)
			}
			if from := max(begin, code.Offset+code.Length); from < end {
				after := piece
				after.Offset, after.Length = from, end-from
				next = append(next, after)
			}
		}
		left = next
	}
	return left
}
