-- Resolves a hold by what the call cost. Lua has no rollback: everything is
-- validated first, then the event is appended, and only then balances change.
--
-- KEYS epoch acct hold exp ev
-- ARGV hold_id account key_id cost fp payload keep_ms
-- -> { status, captured, write_off, available }
--    settled | replayed | conflict | unknown | missing | closed
local function money(n) return string.format('%.0f', n) end
local function answer(status, captured, write_off, available)
  return { status, captured or '0', write_off or '0', available or '0' }
end

local epoch = redis.call('GET', KEYS[1])
if not epoch then return answer('closed') end
local hold = redis.call('HMGET', KEYS[3],
  'state', 'amount', 'account', 'key_id', 'settled_fp', 'captured', 'write_off')
if not hold[1] then return answer('unknown') end
if hold[3] ~= ARGV[2] or hold[4] ~= ARGV[3] then return answer('conflict') end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held')
if not acct[1] then return answer('missing') end
if hold[1] == 'settled' then
  if hold[5] ~= ARGV[5] then return answer('conflict') end
  return answer('replayed', hold[6], hold[7], acct[1])
end
if hold[1] ~= 'held' then return answer('conflict') end

local amount, cost = tonumber(hold[2]), tonumber(ARGV[4])
local captured = math.min(cost, amount)
local write_off = cost - captured
redis.call('XADD', KEYS[5], '*', 't', 'settle', 'e', epoch, 'h', ARGV[1], 'a', hold[3],
  'k', hold[4], 'c', money(captured), 'w', money(write_off), 'd', ARGV[6])
if amount > 0 then -- HINCRBY refuses "-0"
  redis.call('HINCRBY', KEYS[2], 'held', '-' .. hold[2])
end
local available = redis.call('HINCRBY', KEYS[2], 'available', money(amount - captured))
redis.call('HSET', KEYS[3], 'state', 'settled', 'captured', money(captured),
  'write_off', money(write_off), 'settled_fp', ARGV[5])
redis.call('PEXPIRE', KEYS[3], ARGV[7])
redis.call('ZREM', KEYS[4], ARGV[1])
return answer('settled', money(captured), money(write_off), money(available))
