// Package handlers is where updates come in and are given to the room they are for: talk,
// till or people, which all open onto the hall. It wires the rooms, holds the menus, and
// tells the dispatcher which failures are worth another try. Its tests speak to the whole
// bot, as people do.
package handlers
