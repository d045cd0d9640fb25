-- Who makes a call, as a function that the scripts of the gate are composed with.
--
--   find_pass(keys, first, argv) -> { known, base, limits, keyed, key_id, mac, budget, candidate, restricted }
--       The API key that a call is made with: the first candidate that has a record.
--       A record of another status than these two, or of another account, counts as none.
--       restricted is the name of a record that says more about what the key is for.
--       With no candidates the call is made for the account itself: there is no key to
--       know, and the base of its limits stands at `first`.

local function find_pass(keys, first, argv)
  local pass = { known = false, key_id = '0', mac = '', candidate = 0 }
  local candidates = tonumber(argv[1])
  if candidates == 0 then
    pass.known, pass.base = true, keys[first]
    return pass
  end
  for i = 0, candidates - 1 do
    local record = redis.call('HMGET', keys[first + 2 * i], 'account', 'key_id', 'mac', 'limits', 'status', 'budget')
    if record[1] then
      local status = record[5]
      if record[1] == argv[3] and (status == 'active' or status == 'restricted') then
        pass.known, pass.base, pass.keyed, pass.limits = true, keys[first + 2 * i + 1], true, record[4]
        pass.key_id, pass.mac, pass.budget, pass.candidate = record[2], record[3] or '', record[6], i
        if status ~= 'active' then pass.restricted = keys[first + 2 * i] end
      end
      return pass
    end
  end
  return pass
end
