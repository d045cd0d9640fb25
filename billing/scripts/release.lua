-- Gives a hold back untouched: its call did not happen.
--
-- KEYS epoch acct hold exp
-- ARGV hold_id account keep_ms
-- -> released | replayed | conflict | unknown | missing | closed
local epoch, hold = shard_read(KEYS[1], KEYS[3])
if not epoch then return 'closed' end
if not hold then return 'unknown' end
local state, n, account, key_id, _, spent, how, fp = hold_read(hold)
if account ~= ARGV[2] then return 'conflict' end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held')
if not acct[1] then return acct_lost(KEYS[2]) end
if state == 'r' then return 'replayed' end
if state ~= 'h' then return 'conflict' end
hold_resolve(epoch, acct, n, account, key_id, spent, how, fp, '', ARGV[3])
return 'released'
