package talk

import "github.com/kikuai/kikuai/handlers/hall"

// Buttons are the buttons that conversations put under messages.
func (r *Room) Buttons() []hall.Button {
	return []hall.Button{
		{Name: buttonModel, Do: r.pressModel},
		{Name: buttonModels, Do: r.pressModels},
		{Name: buttonFavourite, Do: r.pressFavourite},
		{Name: buttonEverywhere, Do: r.pressEverywhere},
		{Name: buttonPersona, Do: r.pressPersona},
		{Name: ButtonAnew, Do: r.pressAnew},
		{Name: buttonFile, Do: r.pressFile},
		{Name: ButtonInline, Do: r.PressInline},
	}
}
