-- settle_steady.lua for several holds of one account at the same moment: all of them, or
-- none. What is alike in them is read and written once.
--
-- KEYS 1 epoch, 2 acct, 3 exp, 4 ev, then each hold
-- ARGV 1 account, then for each hold its id, key id, cost, the fingerprint of its settlement,
--      the event's payload, and for how many ms it is kept
-- -> what was available after each; none: nothing was done, for not all of them are the
--    commonest case
local call, n = redis.call, #KEYS - 4
local seen, acct = call('MGET', KEYS[1], unpack(KEYS, 5)), call('HMGET', KEYS[2], 'available', 'held')
if not seen[1] or not acct[1] then return {} end
local held, reservations, named = {}, {}, {}
for i = 1, n do
  local id, at = ARGV[6 * i - 4], 6 * i - 3
  local amount, account, key_id, fp = string.match(seen[i + 1] or '', '^h|(%d+)|(%d+)|(%d+)|%d+|||(.*)$')
  if account ~= ARGV[1] or key_id ~= ARGV[at] or amount - ARGV[at + 1] < 0 or named[id] then return {} end
  held[i], reservations[i], named[id] = amount, fp, true
end

local available, gone, ids, after = tonumber(acct[1]), 0, {}, {}
for i = 1, n do
  local id, key_id, cost, how, payload, keep = unpack(ARGV, 6 * i - 4, 6 * i + 1)
  local who = ARGV[1] .. '|' .. key_id
  call('XADD', KEYS[4], '*', 's', seen[1] .. '|' .. who .. '|' .. cost .. '|0|' .. id .. '|' .. payload)
  call('SET', KEYS[i + 4], 's|' .. cost .. '|' .. who .. '|0||' .. how .. '|' .. reservations[i], 'PX', keep)
  available, gone = available + held[i] - cost, gone + held[i]
  ids[i], after[i] = id, available
end
call('HSET', KEYS[2], 'available', string.format('%d', available), 'held', string.format('%d', (acct[2] or 0) - gone))
call('ZREM', KEYS[3], unpack(ids))
return after
