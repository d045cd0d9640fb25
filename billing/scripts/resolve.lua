-- Resolving a hold, as one function that scripts are composed with after functions.lua
-- and budgets.lua, scripts whose KEYS begin with epoch acct hold exp ev and whose ARGV
-- begins with hold_id. Lua has no rollback: whoever calls it has validated everything.
--
--   hold_resolve(epoch, acct, n, account, key_id, spent, mark, fp, how, keep_ms, cost, payload)
--       -> captured, write_off, available
--       With a cost it settles: the event is appended first, and only then balances
--       change. Without one it gives the hold back whole, and there is no event: nothing
--       left the account.
--
-- acct is available and held; n … fp is what hold_read says, mark its `how`. Amounts are
-- text, as Redis keeps them.
local function hold_resolve(epoch, acct, n, account, key_id, spent, mark, fp, how, keep_ms, cost, payload)
  local captured, write_off, back, record = cost, '0', tonumber(n), nil
  if cost then
    if tonumber(cost) > back then captured, write_off = n, money(cost - n) end
    redis.call('XADD', KEYS[5], '*', 's', epoch .. '|' .. account .. '|' .. key_id .. '|' .. captured
      .. '|' .. write_off .. '|' .. ARGV[1] .. '|' .. payload)
    back = n - captured
    record = hold_form('s', captured, account, key_id, write_off, spent, how, fp)
  else
    record = hold_form('r', n, account, key_id, '0', spent, how, fp)
  end
  local available = acct[1] + back
  redis.call('HSET', KEYS[2], 'available', money(available), 'held', money((acct[2] or 0) - n))
  redis.call('SET', KEYS[3], record, 'PX', keep_ms)
  redis.call('ZREM', KEYS[4], ARGV[1])
  if spent ~= '' and back > 0 then budgets().back(KEYS[2], key_id, spent, back) end
  if mark == 'marked' then redis.call('DEL', (string.gsub(KEYS[3], '^hold', 'mark'))) end
  return captured, write_off, available
end
