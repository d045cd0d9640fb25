-- Resolves a hold by what the call cost. Lua has no rollback: everything is
-- validated first, then the event is appended, and only then balances change.
--
-- KEYS epoch acct hold exp ev
-- ARGV hold_id account key_id cost fp payload keep_ms
-- -> { status, captured, write_off, available }
--    settled | replayed | conflict | unknown | missing | closed
local function answer(status) return { status, 0, 0, 0 } end

local epoch = redis.call('GET', KEYS[1])
if not epoch then return answer('closed') end
local hold = redis.call('HMGET', KEYS[3],
  'state', 'amount', 'account', 'key_id', 'settled_fp', 'captured', 'write_off')
if not hold[1] then return answer('unknown') end
if hold[3] ~= ARGV[2] or hold[4] ~= ARGV[3] then return answer('conflict') end
local available = redis.call('HGET', KEYS[2], 'available')
if not available then return answer('missing') end
if hold[1] == 'settled' then
  if hold[5] ~= ARGV[5] then return answer('conflict') end
  return { 'replayed', tonumber(hold[6]), tonumber(hold[7]), tonumber(available) }
end
if hold[1] ~= 'held' then return answer('conflict') end

-- Numbers as Redis keeps them: tostring would round above 1e14.
local amount, cost = tonumber(hold[2]), tonumber(ARGV[4])
local captured, write_off, back = ARGV[4], '0', '0'
if cost > amount then
  captured, write_off = hold[2], string.format('%.0f', cost - amount)
elseif cost < amount then
  back = string.format('%.0f', amount - cost)
end
redis.call('XADD', KEYS[5], '*', 't', 'settle', 'e', epoch, 'h', ARGV[1], 'a', hold[3],
  'k', hold[4], 'c', captured, 'w', write_off, 'd', ARGV[6])
if amount > 0 then -- HINCRBY refuses "-0"
  redis.call('HINCRBY', KEYS[2], 'held', '-' .. hold[2])
end
available = redis.call('HINCRBY', KEYS[2], 'available', back)
redis.call('HSET', KEYS[3], 'state', 'settled', 'captured', captured,
  'write_off', write_off, 'settled_fp', ARGV[5])
redis.call('PEXPIRE', KEYS[3], ARGV[7])
redis.call('ZREM', KEYS[4], ARGV[1])
return { 'settled', tonumber(captured), tonumber(write_off), available }
