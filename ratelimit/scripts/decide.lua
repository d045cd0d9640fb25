-- limits_check(list, now, id) -> the index of the entry that denies, of several the
-- one with the longest wait, or nil. Records nothing; fills in left, reset and at.
-- id names the call: it holds the places of concurrency limits, once however often
-- it asks. With '' those are only looked at.
local function limits_check(list, now, id)
  local denied
  for i = 1, #list do
    local e, allowed = list[i], nil
    if e.kind == 'w' then
      allowed = window_check(e, now)
    elseif e.kind == 'b' then
      allowed = bucket_check(e, now)
    else
      allowed = lease_check(e, now, id)
    end
    if not allowed and (not denied or e.reset > list[denied].reset) then denied = i end
  end
  return denied
end

-- limits_add(list, now, id, life_ms) records what limits_check allowed; places of
-- concurrency limits end after life_ms unless they are renewed.
local function limits_add(list, now, id, life_ms)
  for i = 1, #list do
    local e = list[i]
    if e.cost > 0 then
      if e.kind == 'w' then
        window_add(e)
      elseif e.kind == 'c' then
        lease_add(e, now, id, life_ms)
      elseif e.max > 0 then
        bucket_write(e, now)
      end
    end
  end
end
