-- Holding money, as functions that other scripts are composed with, after
-- functions.lua and budgets.lua.
--
--   acct_read(acct_key) -> acct: { available, held, status, budget, tier, org }, each
--       false where it is missing; all that a call needs of its account, in one read
--   reserve_plan(acct_key, acct, hold, fp, want, least, key_id, key_budget, now)
--       -> status, n
--       Decides, changes no money. Amounts in nano-USD; key_budget is the key's, or
--       nil; now is Redis' clock in ms.
--         'ok'        n = amount to hold: want, or all that the balance and the
--                     budgets leave when that is less than want but at least `least`
--         'held'      n = amount held: the same hold, asked for again
--         'settled'   n = captured: the same hold, already settled
--         'released'  n = 0: the same hold, already released
--         'conflict'  n = 0: the hold id is taken by another reservation
--         'poor'      n = available
--         'budget|key or account|day or month|limit|spent|number of the period'
--                     n = what the budgets leave
--         'inactive'  n = 0: the account may not spend
--         'missing'   n = 0: no account hash; the shard lost it (never a free call)
--   reserve_commit(acct_key, hold_key, exp_key, hold_id, fp, amount, deadline,
--                  account, key_id, acct) -> available afterwards
--       Carries out what reserve_plan allowed with 'ok'.

local function acct_read(acct_key)
  return redis.call('HMGET', acct_key, 'available', 'held', 'status', 'budget', 'tier', 'org')
end

local function reserve_plan(acct_key, acct, hold, fp, want, least, key_id, key_budget, now)
  if hold then
    local state, n, _, _, _, _, _, held_fp = hold_read(hold)
    if held_fp ~= fp then return 'conflict', 0 end
    if state == 'h' then return 'held', tonumber(n) end
    if state == 's' then return 'settled', tonumber(n) end
    return 'released', 0
  end
  if not acct[1] then return acct_lost(acct_key), 0 end
  if acct[3] ~= 'active' then return 'inactive', 0 end
  local available = tonumber(acct[1])
  want, least = tonumber(want), tonumber(least)
  local most, refusal = available, nil
  if acct[4] or key_budget then
    local left
    left, refusal, acct.counts = budgets().plan(acct_key, acct[4], key_id, key_budget, least, now)
    most = math.min(available, left)
  end
  if most >= want then return 'ok', want end
  if most >= least and most > 0 then return 'ok', most end
  if refusal and available >= least and available > 0 then return refusal, most end
  return 'poor', available
end

local function reserve_commit(acct_key, hold_key, exp_key, hold_id, fp, amount, deadline, account, key_id, acct)
  local available, held, spent = tonumber(acct[1]) - amount, money(tonumber(acct[2] or 0) + amount), ''
  if acct.counts then
    local changes = { 'available', money(available), 'held', held }
    spent = budgets().count(acct.counts, amount, changes)
    redis.call('HSET', acct_key, unpack(changes))
  else
    redis.call('HSET', acct_key, 'available', money(available), 'held', held)
  end
  deadline = money(deadline)
  redis.call('SET', hold_key, hold_form('h', money(amount), account, key_id, deadline, spent, '', fp))
  redis.call('ZADD', exp_key, deadline, hold_id)
  return available
end
