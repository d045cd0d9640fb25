//go:build prove

package main

import "time"

var crashCrowd = crowd{chats: 200, each: 50, killEvery: 2 * time.Second, within: 30 * time.Minute}
