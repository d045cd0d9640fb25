-- Holding money, as functions that other scripts are composed with. Every key
-- lives on the account's shard tag, so one script may use them all.
--
--   shard_open(epoch_key) -> epoch, or nil while the shard is closed.
--   shard_read(epoch_key, hold_key) -> epoch or nil, hold or nil: both in one read.
--   reserve_plan(acct_key, hold, fp, want, least) -> status, n, acct
--       Decides, changes nothing. Amounts in nano-USD.
--         'ok'        n = amount to hold: want, or all there is when that is
--                     less than want but at least `least`
--         'held'      n = amount held: the same hold, asked for again
--         'settled'   n = captured: the same hold, already settled
--         'released'  n = 0: the same hold, already released
--         'conflict'  n = 0: the hold id is taken by another reservation
--         'poor'      n = available
--         'inactive'  n = 0: the account may not spend
--         'missing'   n = 0: no account hash; the shard lost it (never a free call)
--   reserve_commit(acct_key, hold_key, exp_key, hold_id, fp, amount,
--                  deadline_ms, account, key_id, acct) -> available afterwards
--       Carries out what reserve_plan allowed with 'ok'.
--
-- A hold is a string, because each command that a script calls costs more than the
-- few bytes it moves: state|n|account|key id|m|rest
--   h  held      n = amount,    m = deadline in ms, rest = fp
--   s  settled   n = captured,  m = write-off,      rest = settled fp|fp
--   r  released  n = amount,    m = 0,              rest = fp

local function money(n)
  return string.format('%.0f', n) -- tostring would round above 1e14
end

local function shard_open(epoch_key)
  return redis.call('GET', epoch_key) or nil
end

local function shard_read(epoch_key, hold_key)
  local read = redis.call('MGET', epoch_key, hold_key)
  return read[1] or nil, read[2] or nil
end

local function reserve_plan(acct_key, hold, fp, want, least)
  if hold then
    local state, n, rest = string.match(hold, '^(%a)|(%d+)|%d+|%d+|%d+|(.*)$')
    if state == 's' then rest = string.match(rest, '|(.*)$') end
    if rest ~= fp then return 'conflict', 0 end
    if state == 'h' then return 'held', tonumber(n) end
    if state == 's' then return 'settled', tonumber(n) end
    return 'released', 0
  end
  local acct = redis.call('HMGET', acct_key, 'available', 'held', 'status')
  if not acct[1] then return 'missing', 0 end
  if acct[3] ~= 'active' then return 'inactive', 0 end
  local available = tonumber(acct[1])
  want, least = tonumber(want), tonumber(least)
  if available >= want then return 'ok', want, acct end
  if available >= least and available > 0 then return 'ok', available, acct end
  return 'poor', available
end

local function reserve_commit(acct_key, hold_key, exp_key, hold_id, fp, amount, deadline_ms, account, key_id, acct)
  local available = tonumber(acct[1]) - amount
  redis.call('HSET', acct_key, 'available', money(available), 'held', money(tonumber(acct[2] or 0) + amount))
  redis.call('SET', hold_key, 'h|' .. money(amount) .. '|' .. account .. '|' .. key_id .. '|' .. deadline_ms .. '|' .. fp)
  redis.call('ZADD', exp_key, deadline_ms, hold_id)
  return available
end
