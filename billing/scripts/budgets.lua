-- What budgets limit and what was spent of them, as one function that scripts are
-- composed with after functions.lua: the few that come upon a budget call it for the
-- functions inside, which then cost the others nothing.
--
-- A budget, the field `budget` of the account's hash and of a key's record, is
-- day|month in nano-USD, 0: none. What was spent and is held, the fields `spent` (the
-- account's) and `spent:<key id>` of the account's hash, is day|nano|month|nano, with
-- days since 1970 and months since year 0, both UTC by Redis' clock. It is counted only
-- where there is, or was, a budget.
--
-- A hold says which budgets count it and when that was, as whose:day:month, where whose
-- is a (the account's), k (the key's) or both.
--
--   budgets() -> { periods, latest, parse, read, write, plan, count, add, back }
--   periods(now) -> day, month
--   latest(text, day, month) -> day, month, or the later ones that were counted in already
--   parse(text) -> day, nano, month, nano of what was spent; all 0 for none
--   read(text, day, month) -> nano of the day, nano of the month
--   write(day, nano, month, nano) -> text
--   plan(acct_key, budget, key_id, key_budget, least, now) -> left, refusal, counts
--       What the budgets leave, and where that does not suffice, which one says so: of
--       several, the one that is whole again last.
--   count(counts, amount, changes) -> spent of the hold
--       Appends to the account's changes what a hold of the amount makes of counts.
--   add(acct_key, key_id, nano, now) counts what no hold counted, where it is counted
--   back(acct_key, key_id, spent, nano) takes back what a hold counted and did not cost,
--       from the periods it was counted in and from no other
local function budgets()
  local form = '^(%d+)|(%d+)|(%d+)|(%d+)$'

  local function write(day, of_day, month, of_month)
    return money(day) .. '|' .. money(of_day) .. '|' .. money(month) .. '|' .. money(of_month)
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

  local function parse(text)
    local d, of_day, m, of_month = string.match(text or '', form)
    if not d then return 0, 0, 0, 0 end
    return tonumber(d), tonumber(of_day), tonumber(m), tonumber(of_month)
  end

  -- The clock stepped back over midnight: the later period stays the one that is counted in,
  -- or its budget would be free once it begins again.
  local function latest(text, day, month)
    local d, _, m = parse(text)
    return math.max(day, d), math.max(month, m)
  end

  local function read(text, day, month)
    local d, of_day, m, of_month = parse(text)
    return d >= day and of_day or 0, m >= month and of_month or 0
  end

  local function plan(acct_key, budget, key_id, key_budget, least, now)
    local counts, limits = {}, {}
    counts.day, counts.month = periods(now)
    local spent = redis.call('HMGET', acct_key, 'spent:' .. key_id, 'spent')
    for i = 1, 2 do counts.day, counts.month = latest(spent[i], counts.day, counts.month) end
    local function look(whose, scope, field, of, text)
      if not of then return end
      local of_day, of_month = read(text, counts.day, counts.month)
      local day_limit, month_limit = string.match(of, '^(%d+)|(%d+)$')
      counts[#counts + 1] = { whose = whose, field = field, of_day = of_day, of_month = of_month }
      limits[#limits + 1] = { scope = scope, name = 'day', most = tonumber(day_limit), spent = of_day, period = counts.day }
      limits[#limits + 1] = { scope = scope, name = 'month', most = tonumber(month_limit), spent = of_month, period = counts.month }
    end
    look('k', 'key', 'spent:' .. key_id, key_budget, spent[1])
    look('a', 'account', 'spent', budget, spent[2])
    local left, refusal = math.huge, nil
    for _, name in ipairs({ 'day', 'month' }) do
      for _, l in ipairs(limits) do
        if l.name == name and l.most > 0 then
          local rest = math.max(0, l.most - l.spent)
          left = math.min(left, rest)
          if rest < least or rest == 0 then
            refusal = table.concat({ 'budget', l.scope, name, money(l.most), money(l.spent), money(l.period) }, '|')
          end
        end
      end
    end
    return left, refusal, counts
  end

  local function count(counts, amount, changes)
    local whose = ''
    for _, c in ipairs(counts) do
      whose = whose .. c.whose
      changes[#changes + 1] = c.field
      changes[#changes + 1] = write(counts.day, c.of_day + amount, counts.month, c.of_month + amount)
    end
    return whose .. ':' .. money(counts.day) .. ':' .. money(counts.month)
  end

  local function add(acct_key, key_id, nano, now)
    for _, field in ipairs({ 'spent', 'spent:' .. key_id }) do
      local text = redis.call('HGET', acct_key, field)
      if text then
        local day, month = latest(text, periods(now))
        local of_day, of_month = read(text, day, month)
        redis.call('HSET', acct_key, field, write(day, of_day + nano, month, of_month + nano))
      end
    end
  end

  local function back(acct_key, key_id, spent, nano)
    local whose, day, month = string.match(spent, '^(%a+):(%d+):(%d+)$')
    for of, field in pairs({ a = 'spent', k = 'spent:' .. key_id }) do
      local text = string.find(whose, of, 1, true) and redis.call('HGET', acct_key, field)
      if text then
        local d, of_day, m, of_month = string.match(text, form)
        of_day, of_month = tonumber(of_day), tonumber(of_month)
        if d == day then of_day = math.max(0, of_day - nano) end
        if m == month then of_month = math.max(0, of_month - nano) end
        redis.call('HSET', acct_key, field, write(tonumber(d), of_day, tonumber(m), of_month))
      end
    end
  end

  return { periods = periods, latest = latest, parse = parse, read = read, write = write, plan = plan, count = count, add = add, back = back }
end
