//go:build !prove

package main

import "time"

var crashCrowd = crowd{chats: 20, each: 6, killEvery: 2 * time.Second, within: 4 * time.Minute}
