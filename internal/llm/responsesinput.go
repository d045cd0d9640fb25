package llm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

var (
	// ownToolTypes are tools that the client runs itself.
	ownToolTypes = []string{"function", "custom", "local_shell", "shell", "apply_patch", "namespace"}
	// itemTypes are what an input may hold: what was said, and calls of such tools.
	itemTypes = []string{
		"message", "reasoning", "compaction", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
		"local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output",
	}
	// atProvider are members that name something kept at the provider.
	atProvider = []string{"file_id", "container_id", "container", "vector_store_ids", "connector_id"}
)

// clientTools refuses tools that the provider runs: they cost beside their tokens, and some
// reach what is kept there.
func clientTools(tools gjson.Result, param string) error {
	if !tools.IsArray() {
		return refused(param, "'%s' must be an array of tools.", param)
	}
	var fault error
	count := 0
	tools.ForEach(func(_, tool gjson.Result) bool {
		fault = clientTool(tool, fmt.Sprintf("%s[%d]", param, count))
		count++
		return fault == nil
	})
	return fault
}

func clientTool(tool gjson.Result, param string) error {
	kinds := 0
	var fault error
	tool.ForEach(func(key, value gjson.Result) bool {
		switch name := strings.ToLower(key.Str); name {
		case "type":
			kinds++
			if key.Str != name || !slices.Contains(ownToolTypes, value.Str) {
				fault = refused(param+".type", "The tool '%.40s' is run by the provider and billed apart; it is not offered here. Functions and tools that you run yourself are.", value.String())
			}
		case "tools":
			fault = clientTools(value, param+".tools")
		case "environment":
			if value.Type != gjson.Null && value.Get("type").Str != "local" {
				fault = refused(param+".environment", "Only an environment of your own, of the type 'local', is offered here.")
			}
		}
		return fault == nil
	})
	if fault == nil && kinds != 1 {
		fault = refused(param+".type", "A tool must have a 'type', once.")
	}
	return fault
}

// readInput checks the input's form, and that it needs nothing that is at the provider.
func (r *responsesRequest) readInput(input gjson.Result) error {
	r.promptMost += int64(len(input.Raw))
	if input.Type == gjson.String {
		r.items = 1
		r.promptMost += messageOverhead
		return nil
	}
	if !input.IsArray() {
		return refused("input", "'input' must be a string or an array of items.")
	}
	var fault error
	input.ForEach(func(_, item gjson.Result) bool {
		fault = r.readItem(item, fmt.Sprintf("input[%d]", r.items))
		r.items++
		return fault == nil
	})
	if fault == nil && r.items == 0 {
		fault = refused("input", "'input' must hold at least one item.")
	}
	r.promptMost += r.items * messageOverhead
	return fault
}

func (r *responsesRequest) readItem(item gjson.Result, param string) error {
	if !item.IsObject() {
		return refused(param, "An item of the input must be an object.")
	}
	kinds, role := 0, false
	var fault error
	item.ForEach(func(key, value gjson.Result) bool {
		switch strings.ToLower(key.Str) {
		case "type":
			kinds++
			switch {
			case value.Str == "item_reference":
				fault = refused(param, "Answers are not stored here, so that no item can be referred to: send the item itself, and 'store': false.")
			case key.Str != "type" || !slices.Contains(itemTypes, value.Str):
				fault = refused(param+".type", "Items of the type '%.40s' are not taken here.", value.String())
			case value.Str == "reasoning":
				r.reasoned = true
			}
		case "role":
			role = true
		}
		return fault == nil
	})
	switch {
	case fault != nil:
		return fault
	case kinds > 1 || kinds == 0 && !role:
		return refused(param+".type", "An item must have a 'type', once.")
	}
	return r.look(item, param)
}

// look goes through all of an item: it counts pictures, and refuses what is named by an id
// that is the provider's.
func (r *responsesRequest) look(v gjson.Result, param string) error {
	var fault error
	v.ForEach(func(key, value gjson.Result) bool {
		name := strings.ToLower(key.Str)
		if value.Type == gjson.String && strings.HasSuffix(name, "url") {
			fault = storedAt(value.Raw, param+"."+name)
		}
		switch {
		case fault != nil:
		case slices.Contains(atProvider, name) && value.Type != gjson.Null:
			fault = refused(param+"."+name, "'%s' names something that is kept at the provider; nothing is, here. Send it itself.", name)
		case name == "image_url" && value.Type == gjson.String:
			r.images++
			r.Lacks.ImageIn = false
			if strings.HasPrefix(value.Str, "data:") {
				r.promptMost -= int64(len(value.Raw)) // a picture, not words
			}
		case name == "file_data", name == "file_url", name == "type" && value.Str == "input_file":
			r.unbounded, r.Lacks.ImageIn = true, false
		case name == "input_audio", name == "type" && value.Str == "input_audio":
			r.Lacks.AudioIn = false
		case value.IsObject() || value.IsArray():
			fault = r.look(value, param)
		}
		return fault == nil
	})
	return fault
}
