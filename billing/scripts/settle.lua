-- Resolves a hold by what the call cost. Lua has no rollback: everything is
-- validated first, then the event is appended, and only then balances change.
--
-- KEYS epoch acct hold exp ev
-- ARGV hold_id account key_id cost fp payload keep_ms
-- -> { status, captured, write_off, available }
--    settled | replayed | conflict | unknown | missing | closed
local function answer(status) return { status, 0, 0, 0 } end

local read = redis.call('MGET', KEYS[1], KEYS[3])
local epoch, hold = read[1], read[2]
if not epoch then return answer('closed') end
if not hold then return answer('unknown') end
-- the hold's form stands in reserve.lua
local state, n, account, key_id, m, rest = string.match(hold, '^(%a)|(%d+)|(%d+)|(%d+)|(%d+)|(.*)$')
if account ~= ARGV[2] or key_id ~= ARGV[3] then return answer('conflict') end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held')
if not acct[1] then return answer('missing') end
if state == 's' then
  if string.match(rest, '^(.-)|') ~= ARGV[5] then return answer('conflict') end
  return { 'replayed', tonumber(n), tonumber(m), tonumber(acct[1]) }
end
if state ~= 'h' then return answer('conflict') end

-- Numbers as Redis keeps them: tostring would round above 1e14.
local amount, cost = tonumber(n), tonumber(ARGV[4])
local captured, write_off = ARGV[4], '0'
if cost > amount then
  captured, write_off = n, string.format('%.0f', cost - amount)
end
redis.call('XADD', KEYS[5], '*', 't', 'settle', 'e', epoch, 'h', ARGV[1], 'a', account,
  'k', key_id, 'c', captured, 'w', write_off, 'd', ARGV[6])
local available = tonumber(acct[1]) + amount - tonumber(captured)
redis.call('HSET', KEYS[2], 'available', string.format('%.0f', available),
  'held', string.format('%.0f', tonumber(acct[2] or 0) - amount))
redis.call('SET', KEYS[3], 's|' .. captured .. '|' .. account .. '|' .. key_id .. '|' .. write_off
  .. '|' .. ARGV[5] .. '|' .. rest, 'PX', ARGV[7])
redis.call('ZREM', KEYS[4], ARGV[1])
return { 'settled', tonumber(captured), tonumber(write_off), available }
