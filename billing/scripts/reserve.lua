-- Holding money, as functions that other scripts are composed with, after
-- functions.lua.
--
--   reserve_plan(acct_key, lost_key, hold, fp, want, least, account, key_id, key_budget, now)
--       -> status, n, acct
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
--   reserve_commit(acct_key, hold_key, exp_key, hold_id, fp, amount, deadline_ms,
--                  account, key_id, acct) -> available afterwards
--       Carries out what reserve_plan allowed with 'ok'.

-- What the budgets leave, and where that does not suffice, which one says so: of
-- several, the one that resets last.
local function budget_plan(acct_key, acct, least, key_id, key_budget, now)
  local day, month = periods(now)
  local spent = redis.call('HMGET', acct_key, 'spent:' .. key_id, 'spent')
  local left, refusal, counts = math.huge, nil, { day = day, month = month }
  local looks = {}
  local function look(whose, scope, field, budget, text)
    if not budget then return end
    local of_day, of_month = spent_read(text, day, month)
    local day_limit, month_limit = string.match(budget, '^(%d+)|(%d+)$')
    counts[#counts + 1] = { whose = whose, field = field, of_day = of_day, of_month = of_month }
    looks[#looks + 1] = { scope, 'day', tonumber(day_limit), of_day, day }
    looks[#looks + 1] = { scope, 'month', tonumber(month_limit), of_month, month }
  end
  look('k', 'key', 'spent:' .. key_id, key_budget, spent[1])
  look('a', 'account', 'spent', acct[4], spent[2])
  for _, period in ipairs({ 'day', 'month' }) do
    for _, l in ipairs(looks) do
      local limit = l[3]
      if l[2] == period and limit > 0 then
        local rest = math.max(0, limit - l[4])
        left = math.min(left, rest)
        if rest < least or rest == 0 then
          refusal = table.concat({ 'budget', l[1], period, money(limit), money(l[4]), money(l[5]) }, '|')
        end
      end
    end
  end
  return left, refusal, counts
end

local function reserve_plan(acct_key, lost_key, hold, fp, want, least, account, key_id, key_budget, now)
  if hold then
    local state, n, _, _, _, _, _, held_fp = hold_read(hold)
    if held_fp ~= fp then return 'conflict', 0 end
    if state == 'h' then return 'held', tonumber(n) end
    if state == 's' then return 'settled', tonumber(n) end
    return 'released', 0
  end
  local acct = redis.call('HMGET', acct_key, 'available', 'held', 'status', 'budget')
  if not acct[1] then return acct_lost(lost_key, account), 0 end
  if acct[3] ~= 'active' then return 'inactive', 0 end
  local available = tonumber(acct[1])
  want, least = tonumber(want), tonumber(least)
  local most, refusal = available, nil
  if acct[4] or key_budget then
    local left
    left, refusal, acct.counts = budget_plan(acct_key, acct, least, key_id, key_budget, now)
    most = math.min(available, left)
  end
  if most >= want then return 'ok', want, acct end
  if most >= least and most > 0 then return 'ok', most, acct end
  if refusal and available >= least and available > 0 then return refusal, most end
  return 'poor', available
end

local function reserve_commit(acct_key, hold_key, exp_key, hold_id, fp, amount, deadline_ms, account, key_id, acct)
  local available, held, spent = tonumber(acct[1]) - amount, tonumber(acct[2] or 0) + amount, ''
  local counts = acct.counts
  if counts then
    local changes, whose = { 'available', money(available), 'held', money(held) }, ''
    for _, c in ipairs(counts) do
      whose = whose .. c.whose
      changes[#changes + 1] = c.field
      changes[#changes + 1] = spent_form(counts.day, c.of_day + amount, counts.month, c.of_month + amount)
    end
    spent = whose .. ':' .. money(counts.day) .. ':' .. money(counts.month)
    redis.call('HSET', acct_key, unpack(changes))
  else
    redis.call('HSET', acct_key, 'available', money(available), 'held', money(held))
  end
  deadline_ms = money(deadline_ms)
  redis.call('SET', hold_key, hold_form('h', money(amount), account, key_id, deadline_ms, spent, '', fp))
  redis.call('ZADD', exp_key, deadline_ms, hold_id)
  return available
end
