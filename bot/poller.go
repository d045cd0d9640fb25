package bot

import "time"

const pollTimeout = 30 * time.Second
