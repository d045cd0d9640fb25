-- Gives a hold back untouched: its call did not happen.
--
-- KEYS epoch acct hold exp mark lost
-- ARGV hold_id account keep_ms
-- -> released | replayed | conflict | unknown | missing | closed
local epoch, hold = shard_read(KEYS[1], KEYS[3])
if not epoch then return 'closed' end
if not hold then return 'unknown' end
local h = { hold_read(hold) }
if h[3] ~= ARGV[2] then return 'conflict' end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held')
if not acct[1] then return acct_lost(KEYS[6], ARGV[2]) end
if h[1] == 'r' then return 'replayed' end
if h[1] ~= 'h' then return 'conflict' end
hold_return({ acct = KEYS[2], hold = KEYS[3], exp = KEYS[4], mark = KEYS[5] }, ARGV[1], h, acct, '', ARGV[3])
return 'released'
