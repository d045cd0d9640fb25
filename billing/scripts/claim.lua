-- Resolves what a call has of its organisation's budget by what was captured of it.
-- Of two words the higher one stands. A claim that is not known any more is counted
-- all the same: Redis lost it, and with it what it counted.
--
-- KEYS org claim claims
-- ARGV captured keep_ms
-- -> resolved | replayed | missing
local org = organisation_read(KEYS[1])
if not org then return 'missing' end
local captured, claim = tonumber(ARGV[1]), redis.call('GET', KEYS[2])
local more, state, n, day, month = captured, nil, nil, nil, nil
if claim then
  state, n, day, month = organisation_claim(claim)
  if state == 'd' and captured <= n then return 'replayed' end
  more = captured - n
else
  day, month = budgets().periods(now_ms())
end
if org.budget and more ~= 0 then organisation_count(KEYS[1], org.spent, day, month, more) end
redis.call('SET', KEYS[2], 'd|' .. money(captured) .. '|' .. money(day) .. '|' .. money(month), 'PX', ARGV[2])
redis.call('ZREM', KEYS[3], string.match(KEYS[2], '^%a+:{%w+}:(.*)$'))
return 'resolved'
