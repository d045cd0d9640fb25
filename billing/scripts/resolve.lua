-- Resolving holds, as functions that other scripts are composed with, after
-- functions.lua. Lua has no rollback: whoever calls them has validated everything.
--
--   hold_capture(keys, hold_id, h, acct, epoch, cost, payload, how, keep_ms)
--       -> captured, write_off, available
--       Settles: the event is appended first, and only then balances change.
--   hold_return(keys, hold_id, h, acct, how, keep_ms)
--       Gives the hold back whole. No event: nothing left the account.
--
-- keys: acct hold exp ev mark, as named fields; h is a hold's fields in order, as
-- hold_read returns them; acct is available and held. Amounts are text, as Redis
-- keeps them.

local function hold_close(keys, hold_id, h, acct, state, n, m, how, keep_ms)
  local amount = tonumber(h[2])
  local back = state == 's' and amount - tonumber(n) or amount
  local available = tonumber(acct[1]) + back
  redis.call('HSET', keys.acct, 'available', money(available), 'held', money(tonumber(acct[2] or 0) - amount))
  redis.call('SET', keys.hold, hold_form(state, n, h[3], h[4], m, h[6], how, h[8]), 'PX', keep_ms)
  redis.call('ZREM', keys.exp, hold_id)
  if h[6] ~= '' and back > 0 then spent_back(keys.acct, h[4], h[6], back) end
  if h[7] == 'marked' then redis.call('DEL', keys.mark) end
  return available
end

local function hold_capture(keys, hold_id, h, acct, epoch, cost, payload, how, keep_ms)
  local amount, captured, write_off = h[2], cost, '0'
  if tonumber(cost) > tonumber(amount) then
    captured, write_off = amount, money(tonumber(cost) - tonumber(amount))
  end
  redis.call('XADD', keys.ev, '*', 't', 'settle', 'e', epoch, 'h', hold_id, 'a', h[3],
    'k', h[4], 'c', captured, 'w', write_off, 'd', payload)
  return captured, write_off, hold_close(keys, hold_id, h, acct, 's', captured, write_off, how, keep_ms)
end

local function hold_return(keys, hold_id, h, acct, how, keep_ms)
  hold_close(keys, hold_id, h, acct, 'r', h[2], '0', how, keep_ms)
end
