// Package people is what the bot does for whoever writes to it, apart from talking and
// paying: help, settings, keys, feedback and leaving; and what the house's admins do.
package people
