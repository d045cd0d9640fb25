-- Tells a shard of organisations. An older word than Redis has is not heard, unless the
-- shard is being rebuilt. What the ledger says was spent raises what is counted here, and
-- never lowers it: that holds what calls under way claimed, too.
--
-- KEYS the organisations
-- ARGV 1 to tell whatever Redis has or 0, 1 to make those that are missing or 0,
--      then per organisation: limits status budget spent ('' '': none) seq
-- -> the places, from 1, of those that are missing
local missing = {}
for i = 1, #KEYS do
  local at = (i - 1) * 5 + 3
  local limits, status, budget, spent, seq = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local known = redis.call('HMGET', KEYS[i], 'seq', 'budget', 'spent')
  if not known[1] and ARGV[2] ~= '1' then
    missing[#missing + 1] = i
  else
    if ARGV[1] == '1' or tonumber(known[1] or 0) <= tonumber(seq) then
      if budget == '' and known[2] then budget = '0|0' end
      redis.call('HSET', KEYS[i], 'limits', limits, 'status', status, 'seq', seq)
      if budget ~= '' then redis.call('HSET', KEYS[i], 'budget', budget) end
    end
    if spent ~= '' then
      local b = budgets()
      local day, of_day, month, of_month = b.parse(spent)
      local d, counted_day, m, counted_month = b.parse(known[3] or nil)
      if day >= d then d, counted_day = day, math.max(of_day, day == d and counted_day or 0) end
      if month >= m then m, counted_month = month, math.max(of_month, month == m and counted_month or 0) end
      local text = b.write(d, counted_day, m, counted_month)
      if text ~= known[3] then redis.call('HSET', KEYS[i], 'spent', text) end
    end
  end
end
return missing
