-- Holds the live holds of a shard, which are those in its expiry index, against what
-- the accounts say they hold, all at one moment. The names of the holds are known to
-- the index alone, so their keys and the accounts' are made here; they carry the
-- shard's tag like those that are declared.
--
-- KEYS epoch exp
-- ARGV prefix of holds, prefix of accounts, most, 1 to look at all accounts with a
--      live hold or 0, then further accounts to look at
-- -> { epoch, live holds, hold ids without a live hold, accounts that differ }
--    the last as account, sum of its live holds, held; '' for no hash. Where there
--    are more than `most` holds, only their number is told.
local epoch, live = redis.call('GET', KEYS[1]) or '', redis.call('ZCARD', KEYS[2])
if live > tonumber(ARGV[3]) then return { epoch, live, {}, {} } end

local sums, dead = {}, {}
for first = 0, live - 1, 500 do
  local ids = redis.call('ZRANGE', KEYS[2], first, first + 499)
  local names = {}
  for i = 1, #ids do names[i] = ARGV[1] .. ids[i] end
  local holds = redis.call('MGET', unpack(names))
  for i = 1, #ids do
    -- the hold's form stands in functions.lua
    local n, account = string.match(holds[i] or '', '^h|(%d+)|(%d+)|')
    if n then
      sums[account] = (sums[account] or 0) + tonumber(n)
    else
      dead[#dead + 1] = ids[i]
    end
  end
end

local differ = {}
local function look(account)
  local held = redis.call('HGET', ARGV[2] .. account, 'held') or ''
  local sum = sums[account] or 0
  if tonumber(held) ~= sum then
    differ[#differ + 1] = account
    differ[#differ + 1] = string.format('%.0f', sum)
    differ[#differ + 1] = held
  end
end
for i = 5, #ARGV do
  if ARGV[4] == '0' or not sums[ARGV[i]] then look(ARGV[i]) end
end
if ARGV[4] == '1' then
  for account in pairs(sums) do look(account) end
end
return { epoch, live, dead, differ }
