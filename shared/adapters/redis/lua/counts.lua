--[[
Stands before every script, after session.lua: what is counted of runs. A script adds up what it counts, and writes it at its
end with writeCounts.

What Redis knows of one run is told in TIDY (tidy.lua).
]]
-- What each field of a run grows by; the same of this second alone, by `run|field`; the largest lateness of each run.
local increments, recents, latest = {}, {}, {}
-- What was counted within a second is kept for the last minute of the monitor, and a little longer.
local RECENT_LIFE_SECONDS = 75

local function add(run, field, by)
  local fields = increments[run]
  if not fields then fields = {}; increments[run] = fields end
  fields[field] = (fields[field] or 0) + by
end

local function addRecent(run, field, by)
  local name = run .. '|' .. field
  recents[name] = (recents[name] or 0) + by
end

-- The same buckets as shared/domain/histogram.ts; a test compares the two.
local function bucketOf(value)
  if value < 0 then value = 0 end
  if value > 1099511627776 then value = 1099511627776 end
  if value < 32 then return value end
  local doublings = 0
  while value >= 32 do value = math.floor(value / 2); doublings = doublings + 1 end
  return 32 + (doublings - 1) * 16 + (value - 16)
end

-- Counts an attempt of a run (sign 1), or takes it back (sign -1).
local function count(run, token, sign)
  local number, took, late, result = string.match(token, '^(%d+):%w+:(%d+):(%-?%d*):(%a)$')
  took = tonumber(took)
  add(run, 'attempts', sign)
  add(run, 'attempt:' .. number, sign)
  add(run, 'processingMs', sign * took)
  add(run, 'processing:' .. bucketOf(took), sign)
  if result ~= 's' then add(run, 'attemptsFailed', sign) end
  if result == 'u' then add(run, 'attemptsUnknown', sign) end
  if late ~= '' then
    late = tonumber(late)
    add(run, 'lateness:' .. bucketOf(late), sign)
    if sign > 0 and late > (latest[run] or -1e15) then latest[run] = late end
  end
end

-- An attempt that was recorded just now.
local function noteRecent(run, token)
  local took, late, result = string.match(token, '^%d+:%w+:(%d+):(%-?%d*):(%a)$')
  addRecent(run, 'attempts', 1)
  addRecent(run, 'processing:' .. bucketOf(tonumber(took)), 1)
  if result ~= 's' then addRecent(run, 'attemptsFailed', 1) end
  if late ~= '' then addRecent(run, 'lateness:' .. bucketOf(tonumber(late)), 1) end
end

-- By reason; a call may tell the same reason a thousand times.
local names = {}

-- The name under which SMS that failed for a reason are counted, see shared/domain/outcome/failure-reason.ts.
local function nameOfReason(reason)
  if names[reason] then return names[reason] end
  local named, name = prefix .. ':reasons', reason
  local hasName = string.find(OWN_REASONS, '|' .. reason .. '|', 1, true) or redis.call('SISMEMBER', named, reason) == 1
  if not hasName and redis.call('SCARD', named) >= MAX_NAMED_REASONS then name = OTHER_REASONS
  elseif not hasName then redis.call('SADD', named, reason) end
  names[reason] = name
  return name
end

-- Counts an SMS that failed. Answers what is to be told of the SMS, so that it can be taken back: `;=reason;`
local function countReason(run, reason)
  local name = nameOfReason(reason)
  add(run, 'reason:' .. name, 1)
  return ';=' .. name .. ';'
end

-- Sets a field of a hash to a number that is larger than what it holds.
local function raise(key, field, number)
  local known = redis.call('HGET', key, field)
  if not known or tonumber(known) < tonumber(number) then redis.call('HSET', key, field, number) end
end

-- Adds what is counted of a run to the total, or takes it out again. Rare: all it needs is made here.
local function moveSums(run, accepted, isAdded)
  local total, fields = prefix .. ':total', redis.call('HGETALL', prefix .. ':run:' .. run)
  -- Instead of what was announced, what was accepted is summed. The other fields are no sums.
  local isNoSum = {
    announced = true, acceptedUpTo = true, announcedAt = true, input = true, hasInputConflict = true, maxLatenessMs = true,
  }
  local function addToTotal(field, by)
    if tonumber(by) == 0 then return end
    if not isAdded then by = string.sub(by, 1, 1) == '-' and string.sub(by, 2) or '-' .. by end
    redis.pcall('HINCRBY', total, field, by)
  end
  for index = 1, #fields, 2 do
    local field, value = fields[index], fields[index + 1]
    if not isNoSum[field] then addToTotal(field, value)
    elseif field == 'hasInputConflict' and isAdded then redis.call('HSET', total, 'conflict:' .. run, value)
    elseif field == 'hasInputConflict' then redis.call('HDEL', total, 'conflict:' .. run)
    elseif field == 'maxLatenessMs' and isAdded then raise(total, field, value) end
  end
  addToTotal('announced', string.format('%.0f', accepted))
  addToTotal('runs', '1')
  redis.call('HINCRBY', total, 'moves', 1)
end

-- How many SMS of a run have their outcome, and how many have not.
local function booksOf(run)
  local counts = redis.call('HMGET', prefix .. ':run:' .. run, 'announced', 'met', 'sent', 'failed', 'parked', 'known')
  for index, count in ipairs(counts) do counts[index] = tonumber(count or 0) end
  local announced, met, sent, failed, parked, known = unpack(counts)
  local ended = sent + failed + parked + known
  return ended, math.max(announced, met, ended) - ended
end

-- When a run changed last, in seconds, where that is not now: a rebuild knows.
local changedAt = {}

-- Called before a run changes: it is open from now on.
local function openRun(run)
  local changed, at = prefix .. ':runs:changed', changedAt[run]
  if at then at = math.max(at, tonumber(redis.call('ZSCORE', changed, run) or at)) end
  if redis.call('ZADD', changed, at or second, run) == 0 then return end
  local isOpen = redis.call('SADD', prefix .. ':runs', run) == 0
  if redis.call('ZREM', prefix .. ':runs:summed', run) == 0 then return end
  -- A run that is open and summed was changed by an older version, see tidy.lua.
  if isOpen then redis.call('DEL', KEYS[1]) else moveSums(run, booksOf(run), false) end
end

local function writeCounts()
  for run, fields in pairs(increments) do
    openRun(run)
    for field, by in pairs(fields) do
      -- A sum that is full stays as it is: an error here would leave the rest of the call uncounted.
      if by ~= 0 then redis.pcall('HINCRBY', prefix .. ':run:' .. run, field, string.format('%.0f', by)) end
    end
  end
  for run, late in pairs(latest) do raise(prefix .. ':run:' .. run, 'maxLatenessMs', string.format('%.0f', late)) end
  if next(recents) then
    local key = prefix .. ':recent:' .. second
    for name, by in pairs(recents) do redis.call('HINCRBY', key, name, by) end
    redis.call('EXPIRE', key, RECENT_LIFE_SECONDS)
  end
end

-- at: when the run was announced, in seconds; empty where that is not known.
local function announce(run, accepted, acceptedUpTo, input, at)
  local key = prefix .. ':run:' .. run
  openRun(run)
  raise(key, 'announced', accepted)
  raise(key, 'acceptedUpTo', acceptedUpTo)
  if redis.call('HSETNX', key, 'input', input) == 1 then
    if at ~= '' then redis.call('HSET', key, 'announcedAt', at) end
  elseif redis.call('HGET', key, 'input') ~= input then redis.call('HSET', key, 'hasInputConflict', 1) end
end
