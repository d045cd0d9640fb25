-- Notes what the call of a hold has cost so far, and gives it another life. What the
-- mark says is taken should the hold pass its deadline.
--
-- KEYS epoch hold exp mark
-- ARGV hold_id account key_id life_ms cost payload ('': nothing yet, the mark stays)
-- -> marked | settled | released | conflict | unknown | closed
local epoch, hold = shard_read(KEYS[1], KEYS[2])
if not epoch then return 'closed' end
if not hold then return 'unknown' end
local state, n, account, key_id, _, spent, how, fp = hold_read(hold)
if account ~= ARGV[2] or key_id ~= ARGV[3] then return 'conflict' end
if state == 's' then return 'settled' end
if state ~= 'h' then return 'released' end
if ARGV[6] ~= '' then
  -- A checkpoint that was held up on its way must not take back a later one.
  local before = how == 'marked' and redis.call('GET', KEYS[4])
  if not before or tonumber(string.match(before, '^%d+')) <= tonumber(ARGV[5]) then
    redis.call('SET', KEYS[4], ARGV[5] .. '|' .. ARGV[6])
  end
  how = 'marked'
end
local deadline = money(now_ms() + ARGV[4])
redis.call('SET', KEYS[2], hold_form('h', n, account, key_id, deadline, spent, how, fp))
redis.call('ZADD', KEYS[3], deadline, ARGV[1])
return 'marked'
