-- steady_admit.lua for several calls of one key at the same moment: all of them, or none.
-- What is alike in them is read and written once.
--
-- KEYS 1 epoch, 2 acct, 3 exp, 4 the key's record, 5 the base of its limits, then each call's hold
-- ARGV 1 the house's limits, packed, 2 account,
--      then for each call its hold's id, fingerprint, want and life in ms
-- -> what steady_admit.lua says after the last of them, or { status }:
--    apart: calls with this key are not the commonest case; alone: they are not just now
local call = redis.call
local key = call('HMGET', KEYS[4], 'account', 'key_id', 'mac', 'limits', 'status', 'budget')
if key[1] ~= ARGV[2] or key[5] ~= 'active' or key[6] then return { 'apart' } end
local limits = key[4] == '0|0|0|0|0' and ARGV[1] or key[4]
local max = limits and tonumber((string.match(limits, '^(%d+)|0|0|0|0$')))
if not max or max == 0 or max > 2147483647 then return { 'apart' } end
local acct = call('HMGET', KEYS[2], 'available', 'held', 'status', 'budget', 'tier', 'org')
if acct[4] or acct[5] or acct[6] then return { 'apart' } end
local shard = call('MGET', KEYS[1], unpack(KEYS, 6))
if not shard[1] then return { 'alone' } end
local n, total, named = #KEYS - 5, 0, {}
for i = 1, n do
  local id = ARGV[4 * i - 1]
  if shard[i + 1] or named[id] then return { 'alone' } end
  named[id], total = true, total + ARGV[4 * i + 1]
end
local available = tonumber(acct[1])
if not available or available < total or acct[3] ~= 'active' then return { 'alone' } end
local left, reset, now = window_steady(KEYS[5], max, n)
if not left then return { 'alone' } end

call('HSET', KEYS[2], 'available', string.format('%d', available - total), 'held', string.format('%d', (acct[2] or 0) + total))
local ms, middle, holds, deadlines = math.floor(now / 1000), '|' .. ARGV[2] .. '|' .. key[2] .. '|', {}, {}
for i = 1, n do
  local deadline = string.format('%d', ms + ARGV[4 * i + 2])
  holds[2 * i - 1], holds[2 * i] = KEYS[i + 5], 'h|' .. ARGV[4 * i + 1] .. middle .. deadline .. '|||' .. ARGV[4 * i]
  deadlines[2 * i - 1], deadlines[2 * i] = deadline, ARGV[4 * i - 1]
end
call('MSET', unpack(holds))
call('ZADD', KEYS[3], unpack(deadlines))
return { 'ok', total, available - total, key[2], key[3] or '', 0, max, left, reset, now }
