-- What the scripts of holds share, as functions that they are composed with. Every
-- key lives on the account's shard tag, so one script may use them all.
--
--   money(n) -> text; tostring would round above 1e14
--   now_ms() -> Redis' clock; an instance's clock never decides
--   shard_open(epoch_key) -> epoch, or nil while the shard is closed
--   shard_read(epoch_key, hold_key) -> epoch or nil, hold or nil: both in one read
--   acct_lost(lost_key, account) -> 'missing'
--       Notes that Redis has no hash of the account, for the shard's owner to look.
--   hold_read(hold) -> state, n, account, key_id, m, spent, how, fp; all of them text
--   hold_form(state, n, account, key_id, m, spent, how, fp) -> hold
--
-- A hold is a string, because each command that a script calls costs more than the
-- few bytes it moves: state|n|account|key id|m|spent|how|fp
--   h  held      n = amount,    m = deadline in ms,  how = 'marked' if it has a mark
--   s  settled   n = captured,  m = write-off,       how = settled fp, or 'expired'
--   r  released  n = amount,    m = 0,               how = '', or 'expired'
-- spent says which budgets count the hold, and when it was: whose:day:month, where
-- whose is a (the account's), k (the key's) or both; '' where there is no budget.
--
-- The mark of a hold, cost|payload, is what its call had cost at the last checkpoint.
--
-- Budgets: `budget` in the account's hash and in a key's record is day|month in
-- nano-USD, 0: none. What was spent and is held, `spent` (the account) and
-- `spent:<key id>` in the account's hash, is day|nano|month|nano, with days since
-- 1970 and months since year 0, both UTC. It is counted only where there is, or was,
-- a budget.
--
--   periods(now) -> day, month
--   spent_read(text, day, month) -> nano spent in the day, nano in the month
--   spent_form(day, of_day, month, of_month) -> text
--   spent_add(acct_key, key_id, nano, now) counts what no hold counted, where there
--       are counters
--   spent_back(acct_key, key_id, spent, nano) takes back what a hold counted and did
--       not cost, from the periods it was counted in and from no other

local function money(n)
  return string.format('%.0f', n)
end

local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function shard_open(epoch_key)
  return redis.call('GET', epoch_key) or nil
end

local function shard_read(epoch_key, hold_key)
  local read = redis.call('MGET', epoch_key, hold_key)
  return read[1] or nil, read[2] or nil
end

local function acct_lost(lost_key, account)
  redis.call('SADD', lost_key, account)
  return 'missing'
end

local function hold_read(hold)
  return string.match(hold, '^(%a)|(%d+)|(%d+)|(%d+)|(%d+)|([^|]*)|([^|]*)|(.*)$')
end

local function hold_form(state, n, account, key_id, m, spent, how, fp)
  return state .. '|' .. n .. '|' .. account .. '|' .. key_id .. '|' .. m .. '|' .. spent .. '|' .. how .. '|' .. fp
end

local function periods(now)
  local day = math.floor(now / 86400000)
  -- The Gregorian calendar in whole eras of 400 years that begin with a March.
  local of_era = (day + 719468) % 146097
  local era = (day + 719468 - of_era) / 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
    - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - 365 * year - math.floor(year / 4) + math.floor(year / 100)
  return day, (era * 400 + year) * 12 + math.floor((5 * of_year + 2) / 153) + 2
end

local function spent_read(text, day, month)
  local d, of_day, m, of_month = string.match(text or '', '^(%d+)|(%d+)|(%d+)|(%d+)$')
  if not d then return 0, 0 end
  -- A later period is this one: the clock stepped back, and that must free no budget.
  return tonumber(d) >= day and tonumber(of_day) or 0, tonumber(m) >= month and tonumber(of_month) or 0
end

local function spent_form(day, of_day, month, of_month)
  return money(day) .. '|' .. money(of_day) .. '|' .. money(month) .. '|' .. money(of_month)
end

local function spent_add(acct_key, key_id, nano, now)
  local day, month
  for _, field in ipairs({ 'spent', 'spent:' .. key_id }) do
    local text = redis.call('HGET', acct_key, field)
    if text then
      if not day then day, month = periods(now) end
      local of_day, of_month = spent_read(text, day, month)
      redis.call('HSET', acct_key, field, spent_form(day, of_day + nano, month, of_month + nano))
    end
  end
end

local function spent_back(acct_key, key_id, spent, nano)
  local whose, day, month = string.match(spent, '^(%a+):(%d+):(%d+)$')
  for of, field in pairs({ a = 'spent', k = 'spent:' .. key_id }) do
    local text = string.find(whose, of, 1, true) and redis.call('HGET', acct_key, field)
    if text then
      local d, of_day, m, of_month = string.match(text, '^(%d+)|(%d+)|(%d+)|(%d+)$')
      if d == day then of_day = math.max(0, tonumber(of_day) - nano) end
      if m == month then of_month = math.max(0, tonumber(of_month) - nano) end
      redis.call('HSET', acct_key, field, spent_form(tonumber(d), tonumber(of_day), tonumber(m), tonumber(of_month)))
    end
  end
end
