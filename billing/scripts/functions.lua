-- What the scripts of holds share, as functions that they are composed with. Every
-- key lives on the account's shard tag, so one script may use them all. A function costs
-- each call that is composed with it, and so does a key: there are few here, and the
-- keys that few calls need, lost and mark, are made from those that each call brings.
--
--   money(n) -> text; tostring would round above 1e14
--   shard_read(epoch_key, hold_key) -> epoch or nil, hold or nil: both in one read
--   acct_lost(acct_key) -> 'missing'
--       Notes that Redis has no hash of the account, for the shard's owner to look.
--   hold_read(hold) -> state, n, account, key_id, m, spent, how, fp; all of them text
--   hold_form(state, n, account, key_id, m, spent, how, fp) -> hold
--
-- A hold is a string, because each command that a script calls costs more than the
-- few bytes it moves: state|n|account|key id|m|spent|how|fp
--   h  held      n = amount,    m = deadline in ms,  how = 'marked' if it has a mark
--   s  settled   n = captured,  m = write-off,       how = settled fp, or 'expired'
--   r  released  n = amount,    m = 0,               how = '', or 'expired'
-- spent says which budgets count the hold, as budgets.lua has it; '': none.
--
-- The event of a settlement is one field, s, since each costs here and where it is read:
--   epoch|account|key id|captured|write-off|hold id|payload
--
-- The mark of a hold, cost|payload, is what its call had cost at the last checkpoint.

local function money(n)
  return string.format('%.0f', n)
end

local function shard_read(epoch_key, hold_key)
  local read = redis.call('MGET', epoch_key, hold_key)
  return read[1] or nil, read[2] or nil
end

local function acct_lost(acct_key)
  local tag, account = string.match(acct_key, '^%a+(:{%w+}):(%d+)$')
  redis.call('SADD', 'lost' .. tag, account)
  return 'missing'
end

local function hold_read(hold)
  return string.match(hold, '^(%a)|(%d+)|(%d+)|(%d+)|(%d+)|([^|]*)|([^|]*)|(.*)$')
end

local function hold_form(state, n, account, key_id, m, spent, how, fp)
  return state .. '|' .. n .. '|' .. account .. '|' .. key_id .. '|' .. m .. '|' .. spent .. '|' .. how .. '|' .. fp
end
