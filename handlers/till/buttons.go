package till

import "github.com/kikuai/kikuai/handlers/hall"

// Buttons are the buttons that the till puts under messages.
func (r *Room) Buttons() []hall.Button {
	return []hall.Button{
		{Name: buttonTopUp, Do: r.pressTopUp},
		{Name: buttonAmount, Do: r.pressTopUp},
		{Name: buttonMonthly, Do: r.pressMonthly},
		{Name: buttonSubscription, Do: r.pressSubscription},
		{Name: buttonUsage, Do: r.pressUsage},
		{Name: buttonGift, Do: r.pressGift},
		{Name: buttonPayOff, Do: r.pressPayOff},
	}
}
