package hall

import "time"

// TurnsLife is how long a silent topic is kept, unless its owner set another time.
const TurnsLife = 7 * 24 * time.Hour
