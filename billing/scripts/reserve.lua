-- Holding money, as functions that other scripts are composed with. Every key
-- lives on the account's shard tag, so one script may use them all.
--
--   shard_open(epoch_key) -> epoch, or nil while the shard is closed.
--   reserve_plan(acct_key, hold_key, fp, want, least) -> status, n
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
--                  deadline_ms, account, key_id) -> available afterwards
--       Carries out what reserve_plan allowed with 'ok'.

local function money(n)
  return string.format('%.0f', n) -- tostring would round above 1e14
end

local function shard_open(epoch_key)
  return redis.call('GET', epoch_key) or nil
end

local function reserve_plan(acct_key, hold_key, fp, want, least)
  local hold = redis.call('HMGET', hold_key, 'fp', 'state', 'amount', 'captured')
  if hold[2] then
    if hold[1] ~= fp then return 'conflict', 0 end
    if hold[2] == 'held' then return 'held', tonumber(hold[3]) end
    if hold[2] == 'settled' then return 'settled', tonumber(hold[4]) end
    return 'released', 0
  end
  local acct = redis.call('HMGET', acct_key, 'available', 'status')
  if not acct[1] then return 'missing', 0 end
  if acct[2] ~= 'active' then return 'inactive', 0 end
  local available = tonumber(acct[1])
  want, least = tonumber(want), tonumber(least)
  if available >= want then return 'ok', want end
  if available >= least and available > 0 then return 'ok', available end
  return 'poor', available
end

local function reserve_commit(acct_key, hold_key, exp_key, hold_id, fp, amount, deadline_ms, account, key_id)
  local nano = money(amount)
  local less = amount > 0 and '-' .. nano or '0' -- HINCRBY refuses "-0"
  local available = redis.call('HINCRBY', acct_key, 'available', less)
  redis.call('HINCRBY', acct_key, 'held', nano)
  redis.call('HSET', hold_key, 'state', 'held', 'amount', nano, 'fp', fp,
    'account', account, 'key_id', key_id, 'deadline_ms', deadline_ms)
  redis.call('ZADD', exp_key, deadline_ms, hold_id)
  return available
end
