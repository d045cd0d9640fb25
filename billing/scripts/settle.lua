-- Resolves a hold by what the call cost.
--
-- KEYS epoch acct hold exp ev mark lost
-- ARGV hold_id account key_id cost fp payload keep_ms
-- -> { status, captured, write_off, available }
--    settled | replayed | expired | conflict | unknown | missing | closed
--    expired: the hold passed its deadline and was resolved then, as the numbers say
local function answer(status) return { status, 0, 0, 0 } end

local epoch, hold = shard_read(KEYS[1], KEYS[3])
if not epoch then return answer('closed') end
if not hold then return answer('unknown') end
local h = { hold_read(hold) }
local state, n, m, how = h[1], h[2], h[5], h[7]
if h[3] ~= ARGV[2] or h[4] ~= ARGV[3] then return answer('conflict') end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held')
if not acct[1] then return answer(acct_lost(KEYS[7], ARGV[2])) end
if state == 's' and (how == 'expired' or how == ARGV[5]) then
  return { how == 'expired' and how or 'replayed', tonumber(n), tonumber(m), tonumber(acct[1]) }
end
if state == 'r' and how == 'expired' then return { how, 0, 0, tonumber(acct[1]) } end
if state ~= 'h' then return answer('conflict') end

local keys = { acct = KEYS[2], hold = KEYS[3], exp = KEYS[4], ev = KEYS[5], mark = KEYS[6] }
local captured, write_off, available = hold_capture(keys, ARGV[1], h, acct, epoch, ARGV[4], ARGV[6], ARGV[5], ARGV[7])
return { 'settled', tonumber(captured), tonumber(write_off), available }
