package llm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	toolSearch      = "tool_search"
	computerPreview = "computer_use_preview"
)

var (
	// ownToolTypes are tools that the client runs itself; a search of tools is one where it
	// says so.
	ownToolTypes = []string{"function", "custom", "local_shell", "shell", "apply_patch", "namespace", "computer", computerPreview, toolSearch}
	// billedTools are how the types of tools begin that the provider runs and bills apart.
	billedTools = []string{"web_search", "file_search", "code_interpreter", "image_generation"}
	// itemTypes are what an input may hold: what was said, calls of such tools, and tools that
	// come in with the conversation.
	itemTypes = []string{
		"message", "reasoning", "compaction", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
		"local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output",
		"computer_call", "computer_call_output", toolSearch + "_call", toolSearch + "_output", "additional_tools",
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
	kinds, searched := 0, false
	kind := tool.Get("type").Str // of a tool that has it once
	var fault error
	tool.ForEach(func(key, value gjson.Result) bool {
		switch name := strings.ToLower(key.Str); name {
		case "type":
			kinds++
			if key.Str != name || !slices.Contains(ownToolTypes, value.Str) {
				fault = refusedTool(value.String(), param+".type")
			}
		case "tools":
			fault = clientTools(value, param+".tools")
		case "execution":
			searched = true
			if kind == toolSearch && (key.Str != name || value.Str != "client") {
				fault = notSearched(param)
			}
		case "environment":
			screen := kind == computerPreview && value.Type == gjson.String // what is on the client's screen
			if !screen && value.Type != gjson.Null && value.Get("type").Str != "local" {
				fault = refused(param+".environment", "Only an environment of your own, of the type 'local', is offered here.")
			}
		}
		return fault == nil
	})
	switch {
	case fault != nil:
		return fault
	case kinds != 1:
		return refused(param+".type", "A tool must have a 'type', once.")
	case kind == toolSearch && !searched:
		return notSearched(param)
	}
	return nil
}

func refusedTool(kind, param string) error {
	const offered = "Functions and tools that you run yourself are."
	if slices.ContainsFunc(billedTools, func(billed string) bool { return strings.HasPrefix(kind, billed) }) {
		return refused(param, "The tool '%.40s' is run by the provider and billed apart; it is not offered here. "+offered, kind)
	}
	return refused(param, "Tools of the type '%.40s' are not offered here. "+offered, kind)
}

func notSearched(param string) error {
	return refused(param+".execution", "Tools are not searched at the provider here: set 'execution' to 'client', and answer the model's search yourself.")
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
	search := item.Get("type").Str == toolSearch+"_call"
	item.ForEach(func(key, value gjson.Result) bool {
		switch name := strings.ToLower(key.Str); {
		case name == "tools":
			fault = clientTools(value, param+".tools")
			r.tooled = true
			r.promptMost += toolsOverhead
		case name == "arguments" && search: // are the client's tool's, and name what they like
		default:
			fault = r.lookAt(name, value, param)
		}
		return fault == nil
	})
	return fault
}

// look goes through all of a part of an item.
func (r *responsesRequest) look(v gjson.Result, param string) error {
	var fault error
	v.ForEach(func(key, value gjson.Result) bool {
		fault = r.lookAt(strings.ToLower(key.Str), value, param)
		return fault == nil
	})
	return fault
}

// lookAt goes through a member of an item: it counts pictures, and refuses what is named by
// an id that is the provider's.
func (r *responsesRequest) lookAt(name string, value gjson.Result, param string) error {
	if value.Type == gjson.String && strings.HasSuffix(name, "url") {
		if err := storedAt(value.Raw, param+"."+name); err != nil {
			return err
		}
	}
	switch {
	case slices.Contains(atProvider, name) && value.Type != gjson.Null:
		return refused(param+"."+name, "'%s' names something that is kept at the provider; nothing is, here. Send it itself.", name)
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
		return r.look(value, param)
	}
	return nil
}
