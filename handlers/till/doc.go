// Package till is what the bot does about money: topping up, paying and being paid back,
// gifts and invitations, who pays for a group, what was spent, and word of all that.
package till
