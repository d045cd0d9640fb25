package people

import "github.com/kikuai/kikuai/handlers/hall"

// Buttons are the buttons that this room puts under messages.
func (r *Room) Buttons() []hall.Button {
	return []hall.Button{
		{Name: revokePrefix, Do: r.pressRevoke},
		{Name: buttonSettings, Do: r.pressSettings},
		{Name: buttonHelp, Do: r.pressHelp},
		{Name: buttonDelete, Do: r.pressDelete},
		{Name: buttonBroadcast, Do: r.pressBroadcast},
	}
}
