-- find_pass(keys, first, argv) -> { known, window, limit, key_id, mac, budget, candidate, report }
-- The API key that a call is made with: the first candidate that has a record.
-- A record that is not active, or that belongs to another account, counts as none.
-- With no candidates the call is made for the account itself: there is no key to
-- know, and the only window stands at `first`.
local function find_pass(keys, first, argv)
  local limit = tonumber(argv[2])
  local pass = { known = false, limit = limit, report = '0', key_id = '0', mac = '', candidate = 0 }
  local candidates = tonumber(argv[1])
  if candidates == 0 then
    pass.known, pass.window = true, keys[first]
    return pass
  end
  for i = 0, candidates - 1 do
    local record = redis.call('HMGET', keys[first + 2 * i], 'account', 'key_id', 'mac', 'limits', 'status', 'budget')
    if record[1] then
      if record[1] == argv[4] and record[5] == 'active' then
        pass.known, pass.window = true, keys[first + 2 * i + 1]
        pass.key_id, pass.mac, pass.budget, pass.candidate = record[2], record[3] or '', record[6], i
        local own = tonumber(string.match(record[4] or '', '^%d+')) or 0
        if own > 0 then pass.limit = own end
      end
      return pass
    end
  end
  return pass
end

-- pass_limits(pass, argv) -> the pass's limits, for limits_check.
local function pass_limits(pass, argv)
  local list = {}
  limits_expand(list, limits_int(pass.limit) .. '|0|0|0|0', pass.window, argv[3], 0)
  return list
end
