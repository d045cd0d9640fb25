-- Resolves a hold that passed its deadline by Redis' clock: with a mark by what that
-- says, without one it is given back. Never the full hold, never nothing for what was
-- marked.
--
-- KEYS epoch acct hold exp ev mark
-- ARGV hold_id account keep_ms
-- -> expired | released | early | gone | conflict | missing | closed
--    gone: there is no such hold, or it was resolved; the index forgets it
local epoch, hold = shard_read(KEYS[1], KEYS[3])
if not epoch then return 'closed' end
local state, n, account, key_id, deadline, spent, how, fp = hold_read(hold or '')
if state ~= 'h' then
  redis.call('ZREM', KEYS[4], ARGV[1])
  return 'gone'
end
if account ~= ARGV[2] then return 'conflict' end
if now_ms() <= tonumber(deadline) then return 'early' end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held')
if not acct[1] then return acct_lost(KEYS[2]) end

local mark = how == 'marked' and redis.call('GET', KEYS[6])
local cost, payload = string.match(mark or '', '^(%d+)|(.*)$')
hold_resolve(epoch, acct, n, account, key_id, spent, how, fp, 'expired', ARGV[3], cost, payload)
return cost and 'expired' or 'released'
