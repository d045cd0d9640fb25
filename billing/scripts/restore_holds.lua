-- Writes a run of resolved holds of a closed shard, as the ledger knows them. How they
-- were resolved is not known any more: a settlement that comes yet finds them like those
-- that were resolved at their deadline, and the books take what it has beyond. One that
-- was settled stays so, in whichever order they come.
--
-- KEYS build, then the holds
-- ARGV ticket, then per hold: state (s or r) captured account key_id write_off fp life_ms
-- -> 1, or 0 when another builder took over
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 2, #KEYS do
  local at = (i - 2) * 7 + 2
  local record = hold_form(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], '', 'expired', ARGV[at + 5])
  if ARGV[at] == 's' then
    redis.call('SET', KEYS[i], record, 'PX', ARGV[at + 6])
  else
    redis.call('SET', KEYS[i], record, 'PX', ARGV[at + 6], 'NX')
  end
end
return 1
