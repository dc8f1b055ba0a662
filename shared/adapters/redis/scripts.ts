/**
 * The Lua scripts that count. Each is one atomic step that may be repeated without effect, which is what makes
 * counting exact under redelivery, crashes and lost replies.
 *
 * What Redis knows of one SMS is a text, `phase|run|object|status|digest|attempts|told`:
 * - phase: p in progress, c claimed for an object, s stored in that object
 * - attempts: those counted, `number:start:tookMs:lateMs:s or f`, separated by commas; the start (milliseconds,
 *   base 36) tells two executions of one attempt apart
 * - told: what else was told about this SMS and counted once as a repeated send or an id conflict; of a restored
 *   SMS also `@` and when it finished (milliseconds, base 36)
 *
 *   (nothing) --attempt--> p --outcome--> c --settle--> s --KEEP_TIME--> (nothing)
 *                          c --outcome for another object of a dead recorder--> c
 *                          any --restore--> s
 *
 * From the claim on, the attempts are those of the claimed record; what was counted and differs is taken back.
 *
 * Most SMS of a call are new to Redis. first-meetings.ts says what would be saved and counted for them, and one MSETNX
 * does it for all; where one of them is known, each is told by itself. SETTLE reads all at once and takes apart only
 * what begins otherwise. That is 4.6 µs of Redis' CPU for an SMS of a drain; one by one it was 10.5 (Redis 7.0).
 */
import { HEARTBEAT_GRACE_SECONDS, HEARTBEAT_LIFE_SECONDS, RESTORED_LIFE_SECONDS } from './keys.ts';

const LOST = `local lost = { err = 'COUNTERS_LOST the counters are not those of this Redis process' }`;

/**
 * Rebuilding is granted to one try of one recorder, told by ARGV[4], `recorder/number of the try`: what a process
 * that was frozen, or a command that was late, still wants to do for an older try must not mix with the newer one.
 * The grant names the generation too: a Redis that is back on older data may hold the grant, but not what was restored.
 */
const PROLONG = `
local function isGranted() return redis.call('GET', ARGV[1] .. ':rebuild') == ARGV[4] .. '/' .. ARGV[2] end
local function prolong()
  if not isGranted() then return false end
  redis.call('PEXPIRE', ARGV[1] .. ':rebuild', ${HEARTBEAT_LIFE_SECONDS * 1_000})
  return true
end
`;

/**
 * Where nobody was heard for the life of a heartbeat, it was Redis that was away (or the whole machine asleep): those
 * who were heard last have not died of it, and taking their claims over would write their outcomes twice.
 */
const BEAT_LIBRARY = `
local function beatAt(recorders, second, recorder)
  local newest = redis.call('ZREVRANGE', recorders, 0, 0, 'WITHSCORES')[2]
  if newest and tonumber(newest) <= second - ${HEARTBEAT_LIFE_SECONDS} then
    local lived = redis.call('ZRANGEBYSCORE', recorders, '(' .. (newest - ${HEARTBEAT_LIFE_SECONDS}), '+inf')
    for _, each in ipairs(lived) do
      redis.call('ZADD', recorders, second - ${HEARTBEAT_LIFE_SECONDS - HEARTBEAT_GRACE_SECONDS}, each)
    end
  end
  redis.call('ZADD', recorders, second, recorder)
end
`;

const LIBRARY = `${BEAT_LIBRARY}
local prefix = ARGV[1]
local time = redis.call('TIME')
local second = tonumber(time[1])
local increments, recents, latest = {}, {}, {}

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

local function fingerprintOf(token) return string.match(token, '^%d+:%w+') end

local function count(run, token, sign)
  local number, took, late, result = string.match(token, '^(%d+):%w+:(%d+):(%-?%d*):(%a)$')
  took = tonumber(took)
  add(run, 'attempts', sign)
  add(run, 'attempt:' .. number, sign)
  add(run, 'processingMs', sign * took)
  add(run, 'processing:' .. bucketOf(took), sign)
  if result == 'f' then add(run, 'attemptsFailed', sign) end
  if late ~= '' then
    late = tonumber(late)
    add(run, 'lateness:' .. bucketOf(late), sign)
    if sign > 0 and late > (latest[run] or -1e15) then latest[run] = late end
  end
end

local function tokensOf(text)
  local tokens = {}
  for token in string.gmatch(text, '[^,]+') do tokens[string.match(token, '^%d+')] = token end
  return tokens
end

local function parse(value)
  local phase, run, object, status, digest, attempts, told =
    string.match(value, '^(%a)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$')
  return { phase = phase, run = run, object = object, status = status, digest = digest, attempts = attempts, told = told }
end

local function load(id)
  local value = redis.call('GET', prefix .. ':sms:' .. id)
  return value and parse(value)
end

local function save(id, sms, keepMs)
  local value = table.concat({ sms.phase, sms.run, sms.object, sms.status, sms.digest, sms.attempts, sms.told }, '|')
  if keepMs then redis.call('SET', prefix .. ':sms:' .. id, value, 'PX', keepMs)
  else redis.call('SET', prefix .. ':sms:' .. id, value, 'KEEPTTL') end
end

local function meet(run)
  add(run, 'met', 1)
  return { phase = 'p', run = run, object = '', status = '', digest = '', attempts = '', told = '' }
end

-- True once for each thing told; a list that grew long is no longer kept, only counted.
local function tellOnce(sms, what)
  local mark = ';' .. what .. ';'
  if string.find(sms.told, mark, 1, true) then return false end
  if #sms.told < 1000 then sms.told = sms.told .. mark end
  return true
end

local function noteRepeat(sms, token)
  if tellOnce(sms, fingerprintOf(token)) then add(sms.run, 'repeatedSends', 1) end
end

local function takeBack(sms, what, field)
  local first, last = string.find(sms.told, ';' .. what .. ';', 1, true)
  if not first then return end
  sms.told = string.sub(sms.told, 1, first - 1) .. string.sub(sms.told, last + 1)
  add(sms.run, field, -1)
end

local function noteConflict(id, sms, digest)
  if sms.digest == digest or not tellOnce(sms, '!' .. digest) then return end
  add(sms.run, 'idConflicts', 1)
  if redis.call('SCARD', prefix .. ':conflicts') < 1000 then redis.call('SADD', prefix .. ':conflicts', id) end
end

-- Makes the content of a record the content of the SMS; the one it had is another one now.
local function chooseContent(id, sms, digest)
  local old = sms.digest
  sms.digest = digest
  takeBack(sms, '!' .. digest, 'idConflicts')
  if old ~= '' then noteConflict(id, sms, old) end
end

-- Makes the attempts of a record the attempts of the SMS.
local function reconcile(sms, run, attempts)
  if sms.run ~= run then
    for _, token in pairs(tokensOf(sms.attempts)) do count(sms.run, token, -1); count(run, token, 1) end
    add(sms.run, 'met', -1); add(run, 'met', 1)
    sms.run = run
  end
  if sms.attempts == attempts then return end
  -- Mostly those that were counted, and one more: only that one is looked at.
  local counted = sms.attempts .. ','
  local isContinued = string.sub(attempts, 1, #counted) == counted
  local old = tokensOf(isContinued and '' or sms.attempts)
  local new = tokensOf(isContinued and string.sub(attempts, #counted + 1) or attempts)
  for number, token in pairs(old) do
    if new[number] ~= token then count(run, token, -1) end
    if not new[number] or fingerprintOf(new[number]) ~= fingerprintOf(token) then noteRepeat(sms, token) end
  end
  for number, token in pairs(new) do
    if old[number] ~= token then count(run, token, 1); takeBack(sms, fingerprintOf(token), 'repeatedSends') end
  end
  sms.attempts = attempts
end

local function hasSend(attempts, token)
  return string.find(',' .. attempts, ',' .. fingerprintOf(token) .. ':', 1, true) ~= nil
end

-- What is told about an SMS whose record is chosen: each send that is not in the record is one too many.
local function tell(id, sms, digest, attempts)
  noteConflict(id, sms, digest)
  if attempts == sms.attempts then return end
  for _, token in pairs(tokensOf(attempts)) do
    if not hasSend(sms.attempts, token) then noteRepeat(sms, token) end
  end
end

local function isAlive(recorder)
  local seen = redis.call('ZSCORE', prefix .. ':recorders', recorder)
  return seen and tonumber(seen) > second - ${HEARTBEAT_LIFE_SECONDS}
end

local function beat(recorder)
  redis.call('ZADD', prefix .. ':alive', second, recorder)
  beatAt(prefix .. ':recorders', second, recorder)
end

local function writeCounts()
  for run, fields in pairs(increments) do
    redis.call('SADD', prefix .. ':runs', run)
    for field, by in pairs(fields) do
      -- A sum that is full stays as it is: an error here would leave the rest of the call uncounted.
      if by ~= 0 then redis.pcall('HINCRBY', prefix .. ':run:' .. run, field, string.format('%.0f', by)) end
    end
  end
  for run, late in pairs(latest) do
    local known = redis.call('HGET', prefix .. ':run:' .. run, 'maxLatenessMs')
    if not known or tonumber(known) < late then redis.call('HSET', prefix .. ':run:' .. run, 'maxLatenessMs', string.format('%.0f', late)) end
  end
  if next(recents) then
    local key = prefix .. ':recent:' .. second
    for name, by in pairs(recents) do redis.call('HINCRBY', key, name, by) end
    redis.call('EXPIRE', key, 60)
  end
end

local function announce(run, accepted, acceptedUpTo, input)
  local key = prefix .. ':run:' .. run
  redis.call('SADD', prefix .. ':runs', run)
  for field, value in pairs({ announced = accepted, acceptedUpTo = acceptedUpTo }) do
    local known = redis.call('HGET', key, field)
    if not known or tonumber(known) < tonumber(value) then redis.call('HSET', key, field, value) end
  end
  if redis.call('HSETNX', key, 'input', input) == 0 and redis.call('HGET', key, 'input') ~= input then
    redis.call('HSET', key, 'hasInputConflict', 1)
  end
end

${LOST}
`;

/**
 * ARGV: prefix, generation, recorder, the sums of the first meetings in JSON, how many there are, then 2 for each of
 * them: key and value; then 7 for each other entry: kind, id, run, and four that depend on the kind.
 * Returns the answers to the outcomes of the first meetings, none where they are all claimed, and those to the others.
 */
export const RECORD = `${LIBRARY}
local generation, recorder = ARGV[2], ARGV[3]
if redis.call('GET', KEYS[1]) ~= generation then return lost end
beat(recorder)

local function noteAttempt(id, run, token)
  local sms = load(id) or meet(run)
  local number = string.match(token, '^%d+')
  local known = tokensOf(sms.attempts)[number]
  if known and fingerprintOf(known) == fingerprintOf(token) then return end
  if known or sms.phase ~= 'p' then noteRepeat(sms, token)
  else
    sms.attempts = sms.attempts == '' and token or (sms.attempts .. ',' .. token)
    count(sms.run, token, 1)
    addRecent(sms.run, 'attempts', 1)
  end
  save(id, sms)
end

local function claim(id, run, status, digest, attempts, object, insteadOf)
  local sms = load(id) or meet(run)
  local isLeftBehind = sms.phase == 'c' and insteadOf ~= '' and sms.object == insteadOf
  if sms.phase == 'p' or isLeftBehind then
    local last = string.match(',' .. attempts, '.*,(.+)')
    if last and not hasSend(sms.attempts, last) then addRecent(run, 'attempts', 1) end
    reconcile(sms, run, attempts)
    chooseContent(id, sms, digest)
    sms.phase, sms.object, sms.status = 'c', object, status
    save(id, sms)
    return 'claimed'
  end
  local toldBefore = sms.told
  tell(id, sms, digest, attempts)
  if sms.told ~= toldBefore then save(id, sms) end
  if sms.phase == 's' then return sms.run == run and 'recorded' or 'known' end
  if sms.object == object and sms.run == run then return 'claimed' end
  local owner = string.match(sms.object, '^%w+%-(%w+)%-')
  return (isAlive(owner) and 'alive|' or 'gone|') .. sms.object .. '|' .. sms.status
end

-- True where none of them was known: saved with one command, and counted as they were summed up.
local function meetAtOnce(sums, last)
  if redis.call('MSETNX', unpack(ARGV, 6, last)) == 0 then return false end
  for run, fields in pairs(cjson.decode(sums)) do
    for field, by in pairs(fields) do add(run, field, by) end
    addRecent(run, 'attempts', fields.attempts)
  end
  return true
end

-- The entry that such a value was made of, by itself.
local function meetOrTell(key, value)
  local id, sms = string.sub(key, #prefix + #':sms:' + 1), parse(value)
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
  elseif kind == 'accepted' then announce(run, first, second_, third)
  elseif kind == 'sender' then redis.call('HSET', prefix .. ':senders', id, first)
  else
    local status, digest = string.match(first, '^(%w+) (.*)$')
    answers[#answers + 1] = claim(id, run, status, digest, second_, third, fourth)
  end
end
writeCounts()
return { firstAnswers, answers }
`;

/** RECORD without its safeguard against counting an attempt again when it is told again: only for tests that show it. */
export const RECORD_WITHOUT_COUNTING_ONCE = RECORD.replace(
  'if known and fingerprintOf(known) == fingerprintOf(token) then return end',
  'if known and fingerprintOf(known) == fingerprintOf(token) then count(sms.run, token, 1); return end',
);

/**
 * ARGV: prefix, generation, recorder, object, KEEP_TIME in ms, keys of SMS, each once. Returns the positions of those
 * that are not claimed for the object.
 */
export const SETTLE = `${LIBRARY}
local generation, recorder, object, keepMs = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('GET', KEYS[1]) ~= generation then return lost end
beat(recorder)

local ofObject = '|([^|]*)|' .. string.gsub(object, '%W', '%%%0') .. '|([^|]*)|'
local head, run, status, settledCount = '|', '', '', 0

local function countSettled()
  if settledCount == 0 then return end
  add(run, status, settledCount)
  addRecent(run, status, settledCount)
  settledCount = 0
end

-- What is claimed for one object mostly begins alike, up to the status: taking each apart would be half of the work.
local function isClaimed(value)
  if string.find(value, head, 1, true) == 1 then return true end
  local itsRun, itsStatus = string.match(value, '^c' .. ofObject)
  if not itsRun then return false end
  countSettled()
  head, run, status = table.concat({ 'c', itsRun, object, itsStatus, '' }, '|'), itsRun, itsStatus
  return true
end

local strangers = {}
local values = #ARGV > 5 and redis.call('MGET', unpack(ARGV, 6)) or {}
for position, value in ipairs(values) do
  if value and isClaimed(value) then
    redis.call('SET', ARGV[5 + position], 's' .. string.sub(value, 2), 'PX', keepMs)
    settledCount = settledCount + 1
  elseif not (value and string.find(value, '^s' .. ofObject)) then
    strangers[#strangers + 1] = position
  end
end
countSettled()
writeCounts()
return strangers
`;

/** ARGV: prefix, generation, recorder, object, ids of SMS. Those claimed for the object are in progress again. */
export const ABANDON = `${LIBRARY}
local generation, recorder, object = ARGV[2], ARGV[3], ARGV[4]
if redis.call('GET', KEYS[1]) ~= generation then return lost end
for index = 5, #ARGV do
  local id = ARGV[index]
  local sms = load(id)
  if sms and sms.phase == 'c' and sms.object == object then
    sms.phase, sms.object, sms.status = 'p', '', ''
    save(id, sms)
  end
end
return 'OK'
`;

/**
 * ARGV: prefix, generation, recorder, try (empty while nobody rebuilds), object, KEEP_TIME in ms, then 6 for each
 * outcome: id, run, status, digest, attempts, when it finished in ms (empty while nobody rebuilds).
 *
 * A rebuild remembers an SMS for what is left of KEEP_TIME since it finished: else each loss of Redis would fill it
 * with days of SMS whose ids are new again. An hour is left to each, because its journal message may be on its way
 * still: handed out again, behind a backlog, after the recorder that stored it died.
 */
export const RESTORE = `${LIBRARY}${PROLONG}
local generation, recorder, try, object, keepMs = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
if try ~= '' and not prolong() then return lost end
if try == '' and redis.call('GET', KEYS[1]) ~= generation then return lost end
beat(recorder)
local nowMs = second * 1000 + math.floor(time[2] / 1000)

local function lifeOf(finishedAt)
  if not finishedAt then return keepMs end
  local leastMs = math.min(keepMs, ${RESTORED_LIFE_SECONDS * 1_000})
  return math.min(keepMs, math.max(leastMs, finishedAt + keepMs - nowMs))
end

local function finishOf(sms)
  local mark = string.match(sms.told, ';@(%w+);')
  return mark and tonumber(mark, 36)
end

local function restore(id, run, status, digest, attempts, mark)
  local finishedAt = mark ~= '' and tonumber(mark, 36) or nil
  local sms = load(id)
  local knownAt = sms and finishOf(sms)
  local isOther = finishedAt and knownAt and math.abs(finishedAt - knownAt) > keepMs
  if not sms or isOther then sms = meet(run) end
  -- Readers of S3 keep the record of the smallest object id; so do the counters.
  if sms.phase == 's' and sms.object <= object then
    if sms.object ~= object then tell(id, sms, digest, attempts); save(id, sms) end
    return
  end
  if sms.phase == 's' then add(sms.run, sms.status, -1) end
  reconcile(sms, run, attempts)
  chooseContent(id, sms, digest)
  sms.phase, sms.object, sms.status = 's', object, status
  add(run, status, 1)
  if finishedAt then sms.told = ';@' .. mark .. ';' .. string.gsub(sms.told, ';@%w+;', '') end
  -- Of two SMS of one id, the later one is remembered.
  if not (isOther and knownAt > finishedAt) then save(id, sms, string.format('%.0f', lifeOf(finishedAt))) end
end

for index = 7, #ARGV, 6 do
  restore(ARGV[index], ARGV[index + 1], ARGV[index + 2], ARGV[index + 3], ARGV[index + 4], ARGV[index + 5])
end
writeCounts()
return 'OK'
`;

/** ARGV: prefix, generation, recorder, try, run, largest lateness or empty, then 2 for each count: field and number. */
export const REBUILD_SUMS = `${LIBRARY}${PROLONG}
if not prolong() then return lost end
local run, late = ARGV[5], ARGV[6]
for index = 7, #ARGV, 2 do add(run, ARGV[index], tonumber(ARGV[index + 1])) end
if late ~= '' then latest[run] = tonumber(late) end
writeCounts()
return 'OK'
`;

/** ARGV: prefix, generation, recorder, try, run, accepted, acceptedUpTo, input. */
export const REBUILD_ANNOUNCEMENT = `${LIBRARY}${PROLONG}
if not prolong() then return lost end
announce(ARGV[5], ARGV[6], ARGV[7], ARGV[8])
return 'OK'
`;

/** ARGV: prefix, generation, recorder, try. Returns done, mine or others. What was granted on other data is void. */
export const BEGIN_REBUILD = `
local lock = ARGV[1] .. ':rebuild'
if redis.call('GET', KEYS[1]) == ARGV[2] then return 'done' end
local owner, generation = string.match(redis.call('GET', lock) or '', '^([^/]+)/[^/]+/(.+)$')
if owner and generation == ARGV[2] and owner ~= ARGV[3] then return 'others' end
redis.call('SET', lock, ARGV[4] .. '/' .. ARGV[2], 'PX', ${HEARTBEAT_LIFE_SECONDS * 1_000})
redis.call('DEL', KEYS[1])
return 'mine'
`;

/** ARGV: prefix, generation, recorder, try. */
export const PROLONG_REBUILD = `
${LOST}${PROLONG}
if not prolong() then return lost end
return 'OK'
`;

/** ARGV: prefix, generation, recorder, try. */
export const ABANDON_REBUILD = `
${PROLONG}
if isGranted() then redis.call('DEL', ARGV[1] .. ':rebuild') end
return 'OK'
`;

/**
 * ARGV: prefix, generation, recorder, try, cursor. Forgets a page of what Redis knows, which may have been counted
 * and forgotten since; returns the next cursor.
 */
export const CLEAR = `
${LOST}${PROLONG}
if not prolong() then return lost end
local prefix = ARGV[1]
local kept = { [prefix .. ':rebuild'] = true, [prefix .. ':alive'] = true, [prefix .. ':recorders'] = true, [prefix .. ':senders'] = true, [prefix .. ':starts'] = true }
local page = redis.call('SCAN', ARGV[5], 'MATCH', prefix .. ':*', 'COUNT', 1000)
for _, key in ipairs(page[2]) do
  if not kept[key] then redis.call('UNLINK', key) end
end
return page[1]
`;

/** ARGV: prefix, generation, recorder, try. */
export const END_REBUILD = `
${LOST}${PROLONG}
if not prolong() then return lost end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('DEL', ARGV[1] .. ':rebuild')
return 'OK'
`;

/**
 * ARGV: prefix, generation, recorder, 1 where it can record. Forgets senders that were gone for an hour. Returns how many
 * live.
 */
export const BEAT = `
${LOST}${BEAT_LIBRARY}
local alive, recorders = ARGV[1] .. ':alive', ARGV[1] .. ':recorders'
local second = tonumber(redis.call('TIME')[1])
redis.call('ZADD', alive, second, ARGV[3])
if ARGV[4] == '1' then beatAt(recorders, second, ARGV[3]) end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', second - 3600, 'LIMIT', 0, 100)) do
  redis.call('ZREM', alive, gone)
  redis.call('ZREM', recorders, gone)
  redis.call('HDEL', ARGV[1] .. ':senders', gone)
end
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return lost end
return redis.call('ZCOUNT', alive, second - ${HEARTBEAT_LIFE_SECONDS}, '+inf')
`;
