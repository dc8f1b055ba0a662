--[[
Counts attempts, and claims outcomes for the objects they will be written to. May be repeated without effect.

KEYS: the generation of the valid counters. ARGV: prefix, generation, recorder, the sums of the first meetings in JSON, how many
there are, then 2 for each of them: key and value; then 7 for each other entry: kind, id, run, and four that depend on the kind.
Answers two lists: the answers to the outcomes of the first meetings, none where they are all claimed; and those to the others.
An answer is claimed, recorded, `recorded otherwise`, known, or `alive|object|status` or `gone|object|status` of an object that has claimed it before.

Most SMS of a call are new to Redis. first-meetings.ts says what would be saved and counted for them, and one MSETNX does so for
all of them. If any id of them is known already, the script handles them one by one. One by one an SMS of a drain took 10.5 µs of
Redis' CPU (Redis 7.0); what it takes now is in bench/README.md, `drain`.
]]
if not areCountersValid() then return lost end
signalLife()

-- Counts an attempt once, however often it is told.
local function noteAttempt(id, run, token)
  local sms = load(id) or meet(run)
  local number = string.match(token, '^%d+')
  local known = tokensOf(sms.attempts)[number]
  if known and fingerprintOf(known) == fingerprintOf(token) then return end
  if known or sms.phase ~= 'p' then noteRepeat(sms, token)
  else
    sms.attempts = sms.attempts == '' and token or (sms.attempts .. ',' .. token)
    count(sms.run, token, 1)
    noteRecent(sms.run, token)
  end
  save(id, sms)
end

local function isStoredSo(sms, status, digest, attempts)
  return sms.status == status and shorten(sms.digest) == shorten(digest) and sms.attempts == attempts
end

local function claim(id, run, status, digest, attempts, object, insteadOf)
  local sms = load(id) or meet(run)
  local isLeftBehind = sms.phase == 'c' and insteadOf ~= '' and sms.object == insteadOf
  if sms.phase == 'p' or isLeftBehind then
    local last = string.match(',' .. attempts, '.*,(.+)')
    if last and not hasSend(sms.attempts, last) then noteRecent(run, last) end
    reconcile(sms, run, attempts)
    chooseContent(id, sms, digest)
    sms.phase, sms.object, sms.status = 'c', object, status
    save(id, sms)
    return 'claimed'
  end
  local toldBefore = sms.told
  tell(id, sms, digest, attempts)
  if sms.told ~= toldBefore then save(id, sms) end
  if sms.phase == 's' then
    if sms.run ~= run then return 'known' end
    return isStoredSo(sms, status, digest, attempts) and 'recorded' or 'recorded otherwise'
  end
  if sms.object == object and sms.run == run then return 'claimed' end
  local owner = string.match(sms.object, '^%w+%-(%w+)%-')
  return (isAlive(owner) and 'alive|' or 'gone|') .. sms.object .. '|' .. sms.status
end

local function isRecent(field)
  return field == 'attempts' or field == 'attemptsFailed' or string.sub(field, 1, 11) == 'processing:'
end

-- Saves the first meetings with one command, and counts them as they were summed up. False where one of the SMS was known.
local function meetAtOnce(sums, last)
  if redis.call('MSETNX', unpack(ARGV, 6, last)) == 0 then return false end
  for run, fields in pairs(cjson.decode(sums)) do
    for field, by in pairs(fields) do
      add(run, field, by)
      if isRecent(field) then addRecent(run, field, by) end
    end
  end
  return true
end

-- Handles one first meeting by itself: the entry that its value was made of.
local function meetOrTell(key, value)
  local id = string.sub(key, #prefix + #':sms:' + 1)
  local sms = parse(value, id)
  if sms.phase == 'p' then noteAttempt(id, sms.run, sms.attempts)
  else return claim(id, sms.run, sms.status, sms.digest, sms.attempts, sms.object, '') end
end

local firstAnswers, answers = {}, {}
local lastOfFirst = 5 + 2 * tonumber(ARGV[5])
if lastOfFirst > 5 and not meetAtOnce(ARGV[4], lastOfFirst) then
  for index = 6, lastOfFirst, 2 do
    firstAnswers[#firstAnswers + 1] = meetOrTell(ARGV[index], ARGV[index + 1])
  end
end
for index = lastOfFirst + 1, #ARGV, 7 do
  local kind, id, run = ARGV[index], ARGV[index + 1], ARGV[index + 2]
  local first, second_, third, fourth = ARGV[index + 3], ARGV[index + 4], ARGV[index + 5], ARGV[index + 6]
  if kind == 'attempt' then noteAttempt(id, run, first)
  elseif kind == 'accepted' then announce(run, first, second_, third, second)
  elseif kind == 'sender' then
    redis.call('HSET', prefix .. ':senders', id, first)
    -- A sender that is gone already is forgotten like all others: an hour later.
    redis.call('ZADD', prefix .. ':alive', 'NX', second - 2 * GONE_AFTER_SECONDS, id)
  else
    local status, digest = string.match(first, '^(%w+) (.*)$')
    answers[#answers + 1] = claim(id, run, status, digest, second_, third, fourth)
  end
end
writeCounts()
return { firstAnswers, answers }
