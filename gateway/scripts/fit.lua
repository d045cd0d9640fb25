-- How much a call takes of its limits, as functions that the scripts of the gate are
-- composed with after ratelimit's functions.
--
--   limits_fit(list, now, id, good, bare) -> the denying entry, or nil
--       limits_check, where the call may do with fewer tokens than its entries say: with
--       what is left, as long as that is `good`, or all of a limit below that; never with
--       fewer than `bare`. Afterwards the entries say what it takes.
--   limits_only(list, kind) lets a call take of that kind alone; of '' nothing

local function limits_fit(list, now, id, good, bare)
  local denied, want, left, most = limits_check(list, now, id), nil, math.huge, math.huge
  if not denied then return nil end
  for _, e in ipairs(list) do
    if e.name == 'tokens' then
      want, left, most = e.cost, math.min(left, e.left), math.min(most, e.max)
    end
  end
  if not want or bare >= want then return denied end
  local cost = math.max(bare, math.min(good, most), math.min(want, left))
  if cost >= want then return denied end
  for _, e in ipairs(list) do
    if e.name == 'tokens' then e.cost = cost end
  end
  return limits_check(list, now, id)
end

local function limits_only(list, kind)
  for _, e in ipairs(list) do
    if e.kind ~= kind then e.cost = 0 end
  end
end
