package hall

import "slices"

// IsAdmin tells whether somebody is one of the house's admins.
func (h *Hall) IsAdmin(person int64) bool { return slices.Contains(h.Admins, person) }
