-- What the accounts of an organisation share, as functions that scripts are composed
-- with after functions.lua and budgets.lua. All keys are of the organisation's shard.
--
--   org     hash: limits (packed), status, seq, and where there is, or was, a budget,
--           budget and spent as budgets.lua has them
--   claim   what a call has of the budget, state|n|day|month:
--             c  claimed  n = amount, counted in that day and month
--             d  done     n = what it came to
--   claims  the claims c by the ms when the shard's owner looks after them
--
--   organisation_read(org_key) -> org, or nil where Redis has none, which it notes for
--       the shard's owner; org.limits is packed
--   organisation_plan(org, claim, want, least, now) -> status, n
--       Decides, changes nothing. claim is the claim's text, or nil; now is in ms.
--         'ok'        n = amount to claim: want, or all that the budget leaves when that
--                     is less than want but at least `least`
--         'claimed'   n = amount claimed: the same claim, asked for again
--         'done'      n = what the same claim came to before
--         'inactive'  n = 0: the organisation's accounts may not spend
--         'budget|organisation|day or month|limit|spent|number of the period'
--                     n = what the budget leaves
--       It sets org.day and org.month, the periods that the call counts in.
--   organisation_commit(org, org_key, claim_key, claims_key, n, deadline)
--       Carries out what organisation_plan allowed with 'ok': nothing where there is no
--       budget. org.counted says whether there is a claim.
--   organisation_count(org_key, spent, day, month, nano)
--       Counts so much more, or less, in those periods, if they are not over.

local function organisation_read(org_key)
  local org = redis.call('HMGET', org_key, 'limits', 'status', 'budget', 'spent')
  if not org[1] then
    local tag, id = string.match(org_key, '^%a+(:{%w+}):(%d+)$')
    redis.call('SADD', 'lostorg' .. tag, id)
    return nil
  end
  return { limits = org[1], status = org[2], budget = org[3] or nil, spent = org[4] or nil, counted = false }
end

local function organisation_claim(claim)
  local state, n, day, month = string.match(claim, '^(%a)|(%d+)|(%d+)|(%d+)$')
  return state, tonumber(n), tonumber(day), tonumber(month)
end

local function organisation_plan(org, claim, want, least, now)
  local b = budgets()
  want, least = tonumber(want), tonumber(least)
  if claim then
    local state, n, day, month = organisation_claim(claim)
    org.day, org.month, org.counted = day, month, true
    return state == 'c' and 'claimed' or 'done', n
  end
  org.day, org.month = b.latest(org.spent, b.periods(now))
  if org.status ~= 'active' then return 'inactive', 0 end
  if not org.budget then return 'ok', want end
  local day_limit, month_limit = string.match(org.budget, '^(%d+)|(%d+)$')
  local of_day, of_month = b.read(org.spent, org.day, org.month)
  local left, refusal = math.huge, nil
  for _, l in ipairs({ { 'day', tonumber(day_limit), of_day, org.day }, { 'month', tonumber(month_limit), of_month, org.month } }) do
    if l[2] > 0 then
      local rest = math.max(0, l[2] - l[3])
      left = math.min(left, rest)
      if rest < least or rest == 0 then
        refusal = table.concat({ 'budget', 'organisation', l[1], money(l[2]), money(l[3]), money(l[4]) }, '|')
      end
    end
  end
  org.counted, org.of_day, org.of_month = true, of_day, of_month
  if left >= want then return 'ok', want end
  if left >= least and left > 0 then return 'ok', left end
  return refusal, left
end

local function organisation_commit(org, org_key, claim_key, claims_key, n, deadline)
  if not org.counted then return end
  redis.call('HSET', org_key, 'spent', budgets().write(org.day, org.of_day + n, org.month, org.of_month + n))
  redis.call('SET', claim_key, 'c|' .. money(n) .. '|' .. money(org.day) .. '|' .. money(org.month))
  redis.call('ZADD', claims_key, money(deadline), string.match(claim_key, '^%a+:{%w+}:(.*)$'))
end

local function organisation_count(org_key, spent, day, month, nano)
  local b = budgets()
  local d, of_day, m, of_month = b.parse(spent)
  if day > d then d, of_day = day, 0 end
  if month > m then m, of_month = month, 0 end
  if day == d then of_day = math.max(0, of_day + nano) end
  if month == m then of_month = math.max(0, of_month + nano) end
  redis.call('HSET', org_key, 'spent', b.write(d, of_day, m, of_month))
end
