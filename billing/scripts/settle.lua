-- Resolves a hold by what the call cost.
--
-- KEYS epoch acct hold exp ev
-- ARGV hold_id account key_id cost fp payload keep_ms
-- -> { status, captured, write_off, available }
--    settled | replayed | expired | conflict | unknown | missing | closed
--    expired: the hold passed its deadline and was resolved then, as the numbers say
local function answer(status) return { status, 0, 0, 0 } end

local epoch, hold = shard_read(KEYS[1], KEYS[3])
if not epoch then return answer('closed') end
if not hold then return answer('unknown') end
local state, n, account, key_id, m, spent, how, held_fp = hold_read(hold)
if account ~= ARGV[2] or key_id ~= ARGV[3] then return answer('conflict') end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held')
if not acct[1] then return answer(acct_lost(KEYS[2])) end
if state == 'h' then
  local captured, write_off, available = hold_resolve(epoch, acct, n, account, key_id, spent, how, held_fp,
    ARGV[5], ARGV[7], ARGV[4], ARGV[6])
  return { 'settled', tonumber(captured), tonumber(write_off), available }
end
if state == 's' and how == ARGV[5] then return { 'replayed', tonumber(n), tonumber(m), tonumber(acct[1]) } end
if how ~= 'expired' then return answer('conflict') end
if state == 'r' then n = 0 end
return { 'expired', tonumber(n), tonumber(m), tonumber(acct[1]) }
