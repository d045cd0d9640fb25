-- What limits a call has, as functions that the scripts of the gate are composed with after
-- ratelimit's functions and find.lua.
--
--   pass_limits(pass, acct_key, account, tier, house, tokens) -> list for limits_check
--       The limits of the key, and those of the account's tier. The house's are those of
--       whoever has none: of a key without requests per minute of its own, and of an
--       account without a tier where it calls without a key. They stand in for a tier
--       that Redis does not know, until the shard's owner has told it again.

local PASS_NONE = '0|0|0|0|0'

-- pass_own completes a key's limits with those of the house.
local function pass_own(own, house)
  if not own or own == PASS_NONE then return house end
  local tpm, slots, refill, burst = string.match(own, '^0|(%d+)|(%d+)|(%d+)|(%d+)$')
  if not tpm then return own end
  local rpm, house_refill, house_burst = string.match(house, '^(%d+)|%d+|%d+|(%d+)|(%d+)$')
  if burst == '0' then refill, burst = house_refill, house_burst end
  return rpm .. '|' .. tpm .. '|' .. slots .. '|' .. refill .. '|' .. burst
end

local function pass_limits(pass, acct_key, account, tier, house, tokens)
  local list = {}
  if pass.keyed then
    -- What cannot be read is no freedom.
    if not limits_expand(list, pass_own(pass.limits, house), pass.base, 'key', tokens) then
      limits_expand(list, house, pass.base, 'key', tokens)
    end
  elseif not tier then
    limits_expand(list, house, pass.base, 'account', tokens)
  end
  if tier then
    local tag = string.match(acct_key, ':{%w+}:')
    local base, limits = 'lim' .. tag .. 'account:' .. account, redis.pcall('GET', 'tier' .. tag .. tier)
    if type(limits) ~= 'string' or not limits_expand(list, limits, base, 'account', tokens) then
      limits_expand(list, house, base, 'account', tokens)
    end
  end
  return list
end
