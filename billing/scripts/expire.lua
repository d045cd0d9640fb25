-- Resolves a hold that passed its deadline by Redis' clock: with a mark by what that
-- says, without one it is given back. Never the full hold, never nothing for what was
-- marked.
--
-- KEYS epoch acct hold exp ev mark lost
-- ARGV hold_id account keep_ms
-- -> expired | released | early | gone | conflict | missing | closed
--    gone: there is no such hold, or it was resolved; the index forgets it
local epoch, hold = shard_read(KEYS[1], KEYS[3])
if not epoch then return 'closed' end
local h = hold and { hold_read(hold) } or {}
if h[1] ~= 'h' then
  redis.call('ZREM', KEYS[4], ARGV[1])
  return 'gone'
end
if h[3] ~= ARGV[2] then return 'conflict' end
if now_ms() <= tonumber(h[5]) then return 'early' end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held')
if not acct[1] then return acct_lost(KEYS[7], h[3]) end

local keys = { acct = KEYS[2], hold = KEYS[3], exp = KEYS[4], ev = KEYS[5], mark = KEYS[6] }
local mark = h[7] == 'marked' and redis.call('GET', KEYS[6])
local cost, payload
if mark then cost, payload = string.match(mark, '^(%d+)|(.*)$') end
if not cost then
  hold_return(keys, ARGV[1], h, acct, 'expired', ARGV[3])
  return 'released'
end
hold_capture(keys, ARGV[1], h, acct, epoch, cost, payload, 'expired', ARGV[3])
return 'expired'
