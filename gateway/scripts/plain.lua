-- The common call, whose key or chat has one window of requests and whose account has
-- neither a tier nor an organisation, with a key that is not restricted, as a function that scripts are composed with which
-- decide it and no other. Each function of a script costs each of its calls, so those for
-- all the other limits stand in scripts of their own.
--
--   plain_limit(pass, acct, house) -> the entry of the window; nil: the call is another kind
local function plain_limit(pass, acct, house)
  if pass.restricted or acct[5] or acct[6] then return nil end
  local limits = pass.keyed and pass.limits or house
  if limits == '0|0|0|0|0' then limits = house end
  local max = tonumber((string.match(limits, '^(%d+)|0|0|0|0$')))
  if not max or max == 0 or max > 2147483647 then return nil end
  return { kind = 'w', key = pass.base, max = max, span = 60000000, cost = 1 }
end
