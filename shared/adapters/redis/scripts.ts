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
 * What is stored is kept for KEEP_TIME, so its text is a short one of the same seven fields, at most 44 characters for one
 * attempt of less than ten seconds: Redis keeps a text of that length in the object of its key.
 *
 *   s|demo|20261122T100000000Z-0a1b2c3d4e-000012|sent|0123456789abcdef|1:mwro18g0:1234::s|    86, 229 bytes of Redis
 *   s||mwro18g00a|s|89abcdef|1:mwro18g0:1234::s|                                              44, 182 bytes of Redis
 *
 * - run: left out where the id tells it, see told-run.ts
 * - object: its mark, see object-mark.ts
 * - status: its first letter, which also tells the short text from the long one
 * - digest: the last 8 digits of 16; a content that differs is taken for the same once in 2^32
 *
 * Both are read. Recorders of older versions read the long text only: while Redis remembers one (a whole number in
 * `<Q>:recorders`, see `beatAt`), the long text is written.
 *
 *   (nothing) --attempt--> p --outcome--> c --settle--> s --KEEP_TIME--> (nothing)
 *                          c --outcome for another object of a dead recorder--> c
 *                          any --restore--> s
 *
 * From the claim on, the attempts are those of the claimed record; what was counted and differs is taken back.
 *
 * Most SMS of a call are new to Redis. first-meetings.ts says what would be saved and counted for them, and one MSETNX
 * does it for all; where one of them is known, each is told by itself. SETTLE reads all at once and takes apart only
 * what begins otherwise. One by one an SMS of a drain took 10.5 µs of Redis' CPU (Redis 7.0); what it takes now is in
 * bench/README.md, `drain`.
 */
import { OUTCOME_STATUSES } from '../../domain/outcome.ts';
import { FOREIGN_RUN } from '../../domain/sms.ts';
import {
  HEARTBEAT_GRACE_SECONDS,
  HEARTBEAT_LIFE_SECONDS,
  RECENT_LIFE_SECONDS,
  RESTORED_LIFE_SECONDS,
  RUN_STILL_SECONDS,
} from './keys.ts';

// Of a content, as recorders tell it and as it is kept of a settled SMS.
const DIGEST_DIGITS = 16;
const SHORT_DIGEST_DIGITS = 8;
const BAR = '|'.charCodeAt(0);
const STATUS_LETTERS = OUTCOME_STATUSES.map((status) => `${status[0]} = '${status}'`).join(', ');

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
    local lived = redis.call('ZRANGEBYSCORE', recorders, '(' .. (newest - ${HEARTBEAT_LIFE_SECONDS}), '+inf', 'WITHSCORES')
    for index = 1, #lived, 2 do
      local half = lived[index + 1] % 1
      redis.call('ZADD', recorders, second - ${HEARTBEAT_LIFE_SECONDS - HEARTBEAT_GRACE_SECONDS} - half, lived[index])
    end
  end
  -- The half second tells that this recorder reads the short texts of SMS.
  redis.call('ZADD', recorders, second - 0.5, recorder)
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

-- An attempt that was recorded just now.
local function noteRecent(run, token)
  local took, late, result = string.match(token, '^%d+:%w+:(%d+):(%-?%d*):(%a)$')
  addRecent(run, 'attempts', 1)
  addRecent(run, 'processing:' .. bucketOf(tonumber(took)), 1)
  if result == 'f' then addRecent(run, 'attemptsFailed', 1) end
  if late ~= '' then addRecent(run, 'lateness:' .. bucketOf(tonumber(late)), 1) end
end

local function tokensOf(text)
  local tokens = {}
  for token in string.gmatch(text, '[^,]+') do tokens[string.match(token, '^%d+')] = token end
  return tokens
end

local STATUS_OF = { ${STATUS_LETTERS} }
local function isLetterEnough(status) return STATUS_OF[string.sub(status, 1, 1)] == status end

local function shorten(digest) return string.sub(digest, -${SHORT_DIGEST_DIGITS}) end

-- The run that an id tells, see told-run.ts.
local function runOf(id)
  local run, digits = string.match(id, '^(.*)%-(%d+)$')
  return run and #digits <= 9 and run or '${FOREIGN_RUN}'
end

local function parse(value, id)
  local phase, run, object, status, digest, attempts, told =
    string.match(value, '^(%a)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$')
  local isShort = #status == 1
  if isShort then status = STATUS_OF[status] end
  if run == '' then run = runOf(id) end
  -- Older versions tell a conflict with the whole digest.
  if told ~= '' then told = string.gsub(told, ';!%w+(${'%w'.repeat(SHORT_DIGEST_DIGITS)});', ';!%1;') end
  return {
    phase = phase, run = run, object = object, status = status, digest = digest, attempts = attempts, told = told,
    isShort = isShort,
  }
end

local function load(id)
  local value = redis.call('GET', prefix .. ':sms:' .. id)
  return value and parse(value, id)
end

local function save(id, sms, keepMs)
  local run, status, digest = sms.run, sms.status, sms.digest
  if sms.isShort then
    run, status, digest = run == runOf(id) and '' or run, string.sub(status, 1, 1), shorten(digest)
  end
  local value = table.concat({ sms.phase, run, sms.object, status, digest, sms.attempts, sms.told }, '|')
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
  local short = shorten(digest)
  if shorten(sms.digest) == short or not tellOnce(sms, '!' .. short) then return end
  add(sms.run, 'idConflicts', 1)
  if redis.call('SCARD', prefix .. ':conflicts') < 1000 then redis.call('SADD', prefix .. ':conflicts', id) end
end

-- Makes the content of a record the content of the SMS; the one it had is another one now.
local function chooseContent(id, sms, digest)
  local old = sms.digest
  sms.digest = digest
  takeBack(sms, '!' .. shorten(digest), 'idConflicts')
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

-- Whether all recorders that Redis remembers read short texts.
local function areShortTextsRead()
  local scores = redis.call('ZRANGE', prefix .. ':recorders', 0, -1, 'WITHSCORES')
  for index = 2, #scores, 2 do
    if scores[index] % 1 == 0 then return false end
  end
  return true
end

local function beat(recorder)
  redis.call('ZADD', prefix .. ':alive', second, recorder)
  beatAt(prefix .. ':recorders', second, recorder)
end

-- Adds what is counted of a run to the total, or takes it out again. Rare: all it needs is made here.
local function moveSums(run, accepted, isAdded)
  local total, fields = prefix .. ':total', redis.call('HGETALL', prefix .. ':run:' .. run)
  -- What was accepted is summed instead of what was announced; the others are no sums.
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
    elseif field == 'maxLatenessMs' and isAdded then
      local known = redis.call('HGET', total, field)
      if not known or tonumber(known) < tonumber(value) then redis.call('HSET', total, field, value) end
    end
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

-- Called before a run changes: it is open from now on. A rebuild tells when it changed last, where that is not now.
local changedAt = {}
local function openRun(run)
  local changed, at = prefix .. ':runs:changed', changedAt[run]
  if at then at = math.max(at, tonumber(redis.call('ZSCORE', changed, run) or at)) end
  if redis.call('ZADD', changed, at or second, run) == 0 then return end
  local isOpen = redis.call('SADD', prefix .. ':runs', run) == 0
  if redis.call('ZREM', prefix .. ':runs:summed', run) == 0 then return end
  -- One that is open and summed was changed by an older version: see TIDY.
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
  for run, late in pairs(latest) do
    local known = redis.call('HGET', prefix .. ':run:' .. run, 'maxLatenessMs')
    if not known or tonumber(known) < late then redis.call('HSET', prefix .. ':run:' .. run, 'maxLatenessMs', string.format('%.0f', late)) end
  end
  if next(recents) then
    local key = prefix .. ':recent:' .. second
    for name, by in pairs(recents) do redis.call('HINCRBY', key, name, by) end
    redis.call('EXPIRE', key, ${RECENT_LIFE_SECONDS})
  end
end

-- at: when this was announced, in seconds; empty where that is not known.
local function announce(run, accepted, acceptedUpTo, input, at)
  local key = prefix .. ':run:' .. run
  openRun(run)
  for field, value in pairs({ announced = accepted, acceptedUpTo = acceptedUpTo }) do
    local known = redis.call('HGET', key, field)
    if not known or tonumber(known) < tonumber(value) then redis.call('HSET', key, field, value) end
  end
  if redis.call('HSETNX', key, 'input', input) == 1 then
    if at ~= '' then redis.call('HSET', key, 'announcedAt', at) end
  elseif redis.call('HGET', key, 'input') ~= input then redis.call('HSET', key, 'hasInputConflict', 1) end
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
    noteRecent(sms.run, token)
  end
  save(id, sms)
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
  if sms.phase == 's' then return sms.run == run and 'recorded' or 'known' end
  if sms.object == object and sms.run == run then return 'claimed' end
  local owner = string.match(sms.object, '^%w+%-(%w+)%-')
  return (isAlive(owner) and 'alive|' or 'gone|') .. sms.object .. '|' .. sms.status
end

local function isRecent(field)
  return field == 'attempts' or field == 'attemptsFailed' or string.sub(field, 1, 11) == 'processing:'
end

-- True where none of them was known: saved with one command, and counted as they were summed up.
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

-- The entry that such a value was made of, by itself.
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
    -- One that is gone already is forgotten like all others: an hour later.
    redis.call('ZADD', prefix .. ':alive', 'NX', second - ${2 * HEARTBEAT_LIFE_SECONDS}, id)
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
 * ARGV: prefix, generation, recorder, object, its mark, the runs that the ids tell between bars, KEEP_TIME in ms, keys
 * of SMS, each once. Returns the positions of those that are not claimed for the object.
 */
export const SETTLE = `${LIBRARY}
local generation, recorder, object, mark, toldRuns, keepMs = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
if redis.call('GET', KEYS[1]) ~= generation then return lost end
beat(recorder)

local ofObject = '|([^|]*)|' .. string.gsub(object, '%W', '%%%0') .. '|([^|]*)|'
local ofMark = '^s|[^|]*|' .. mark .. '|%a|'
local canBeShort = mark ~= '' and areShortTextsRead()
local head, run, status, settledCount = '|', '', '', 0
-- How the settled texts of this head begin, and what of a claimed one follows.
local settledHead, restFrom
-- Where the ids tell several runs: how the short texts of this head begin whose id tells theirs.
local headWithoutRun

local function countSettled()
  if settledCount == 0 then return end
  add(run, status, settledCount)
  addRecent(run, status, settledCount)
  settledCount = 0
end

-- All that is claimed for one object is told by one recorder, with digests of one length.
local function chooseSettledHead(value)
  settledHead, restFrom, headWithoutRun = 's' .. string.sub(head, 2), #head + 1, nil
  local hasFullDigest = string.byte(value, #head + ${DIGEST_DIGITS + 1}) == ${BAR}
  if not (canBeShort and hasFullDigest and isLetterEnough(status)) then return end
  local rest = '|' .. mark .. '|' .. string.sub(status, 1, 1) .. '|'
  settledHead, restFrom = 's|' .. run .. rest, #head + ${DIGEST_DIGITS - SHORT_DIGEST_DIGITS + 1}
  local told = '|' .. run .. '|'
  if toldRuns == told then settledHead = 's|' .. rest
  elseif string.find(toldRuns, told, 1, true) then headWithoutRun = 's|' .. rest end
end

local function isRunTold(key) return runOf(string.sub(key, #prefix + #':sms:' + 1)) == run end

-- What is claimed for one object mostly begins alike, up to the status: taking each apart would be half of the work.
local function isClaimed(value)
  if string.find(value, head, 1, true) == 1 then return true end
  local itsRun, itsStatus = string.match(value, '^c' .. ofObject)
  if not itsRun then return false end
  countSettled()
  head, run, status = table.concat({ 'c', itsRun, object, itsStatus, '' }, '|'), itsRun, itsStatus
  chooseSettledHead(value)
  return true
end

local strangers = {}
local values = #ARGV > 7 and redis.call('MGET', unpack(ARGV, 8)) or {}
for position, value in ipairs(values) do
  if value and isClaimed(value) then
    local key = ARGV[7 + position]
    local itsHead = headWithoutRun and isRunTold(key) and headWithoutRun or settledHead
    redis.call('SET', key, itsHead .. string.sub(value, restFrom), 'PX', keepMs)
    settledCount = settledCount + 1
  elseif not (value and (string.find(value, '^s' .. ofObject) or string.find(value, ofMark))) then
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
 * ARGV: prefix, generation, recorder, try (empty while nobody rebuilds), object, its mark, KEEP_TIME in ms, then 6 for
 * each outcome: id, run, status, digest, attempts, when it finished in ms (empty while nobody rebuilds).
 *
 * A rebuild remembers an SMS for what is left of KEEP_TIME since it finished: else each loss of Redis would fill it
 * with days of SMS whose ids are new again. An hour is left to each, because its journal message may be on its way
 * still: handed out again, behind a backlog, after the recorder that stored it died.
 */
export const RESTORE = `${LIBRARY}${PROLONG}
local generation, recorder, try, object, objectMark, keepMs = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
if try ~= '' and not prolong() then return lost end
if try == '' and redis.call('GET', KEYS[1]) ~= generation then return lost end
beat(recorder)
local nowMs = second * 1000 + math.floor(time[2] / 1000)
local canBeShort = objectMark ~= '' and areShortTextsRead()

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
  local own = sms.isShort and objectMark or object
  if sms.phase == 's' and sms.object <= own then
    if sms.object ~= own then tell(id, sms, digest, attempts); save(id, sms) end
    return
  end
  if sms.phase == 's' then add(sms.run, sms.status, -1) end
  reconcile(sms, run, attempts)
  chooseContent(id, sms, digest)
  sms.isShort = canBeShort and isLetterEnough(status)
  sms.phase, sms.object, sms.status = 's', sms.isShort and objectMark or object, status
  add(run, status, 1)
  if finishedAt then sms.told = ';@' .. mark .. ';' .. string.gsub(sms.told, ';@%w+;', '') end
  local life = lifeOf(finishedAt)
  -- The run is remembered as long as its SMS.
  if finishedAt then changedAt[run] = math.max(changedAt[run] or 0, math.ceil((nowMs + life - keepMs) / 1000)) end
  -- Of two SMS of one id, the later one is remembered.
  if not (isOther and knownAt > finishedAt) then save(id, sms, string.format('%.0f', life)) end
end

for index = 8, #ARGV, 6 do
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
-- What is only summed finished more than KEEP_TIME ago.
changedAt[run] = 0
writeCounts()
return 'OK'
`;

/** ARGV: prefix, generation, recorder, try, run, accepted, acceptedUpTo, input, when it was announced in s or empty. */
export const REBUILD_ANNOUNCEMENT = `${LIBRARY}${PROLONG}
if not prolong() then return lost end
-- Its outcomes tell when it changed last.
changedAt[ARGV[5]] = 0
announce(ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9])
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
local kept = {
  [prefix .. ':rebuild'] = true, [prefix .. ':alive'] = true, [prefix .. ':recorders'] = true,
  [prefix .. ':tidying'] = true, [prefix .. ':senders'] = true, [prefix .. ':starts'] = true,
  [prefix .. ':troubles'] = true,
}
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
 * ARGV: prefix, generation, recorder, 1 where it can record, why outcomes wait there or empty. Forgets senders that were
 * gone for an hour. Returns how many live.
 */
export const BEAT = `
${LOST}${BEAT_LIBRARY}
local alive, recorders, troubles = ARGV[1] .. ':alive', ARGV[1] .. ':recorders', ARGV[1] .. ':troubles'
local second = tonumber(redis.call('TIME')[1])
redis.call('ZADD', alive, second, ARGV[3])
if ARGV[4] == '1' then beatAt(recorders, second, ARGV[3]) end
if ARGV[5] == '' then redis.call('HDEL', troubles, ARGV[3]) else redis.call('HSET', troubles, ARGV[3], ARGV[5]) end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', second - 3600, 'LIMIT', 0, 100)) do
  redis.call('ZREM', alive, gone)
  redis.call('ZREM', recorders, gone)
  redis.call('HDEL', ARGV[1] .. ':senders', gone)
  redis.call('HDEL', troubles, gone)
end
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return lost end
return redis.call('ZCOUNT', alive, second - ${HEARTBEAT_LIFE_SECONDS}, '+inf')
`;

const RUNS_PER_CALL = 100;

/**
 * ARGV: prefix, generation, recorder, KEEP_TIME in ms. Moves runs on, and forgets settings of senders that are gone.
 * Returns 1 where there is more to do.
 *
 *   open --nothing in progress, unchanged for a minute (or KEEP_TIME)--> summed --KEEP_TIME after its last change--> (nothing)
 *   summed --changes--> open
 *
 * `runs` holds the open ones, `runs:changed` when each changed last, `runs:summed` the same of those whose sums are in
 * `total`. A run with something in progress is looked at again a minute later.
 *
 * After all senders were away no run is moved for a minute: a journal message that was counted and not acknowledged comes
 * again, and an announcement of a run that was just forgotten would tell of SMS that never come.
 *
 * Older versions know no total: a run of it that they change would be counted twice. So no run is moved while a sender
 * lives that does not do this. Where one has changed a summed run all the same (it was taken into use again for a
 * while), the counters are made again from S3.
 */
export const TIDY = `${LIBRARY}
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return lost end
local recorder, keepSeconds = ARGV[3], math.ceil(tonumber(ARGV[4]) / 1000)
local runs, changed, summed = prefix .. ':runs', prefix .. ':runs:changed', prefix .. ':runs:summed'
local alive, tidying, senders = prefix .. ':alive', prefix .. ':tidying', prefix .. ':senders'
local total, stillSeconds = prefix .. ':total', math.min(${RUN_STILL_SECONDS}, keepSeconds)

local newest = redis.call('ZREVRANGE', tidying, 0, 0, 'WITHSCORES')[2]
local wereAllAway = not newest or tonumber(newest) <= second - ${HEARTBEAT_LIFE_SECONDS}
redis.call(wereAllAway and 'HSET' or 'HSETNX', total, 'since', second)
redis.call('ZADD', tidying, second, recorder)
redis.call('ZREMRANGEBYSCORE', tidying, '-inf', second - 3600)
local function livingIn(key) return redis.call('ZCOUNT', key, second - ${HEARTBEAT_LIFE_SECONDS}, '+inf') end
if livingIn(alive) > livingIn(tidying) then return 0 end

if redis.call('HLEN', senders) > redis.call('ZCARD', alive) then
  for _, sender in ipairs(redis.call('HKEYS', senders)) do
    if not redis.call('ZSCORE', alive, sender) then redis.call('HDEL', senders, sender) end
  end
end

-- What an older version has opened has no second yet.
if redis.call('SCARD', runs) ~= redis.call('ZCARD', changed) then
  for _, run in ipairs(redis.call('SMEMBERS', runs)) do
    if redis.call('ZADD', changed, 'NX', second, run) == 1 and redis.call('ZSCORE', summed, run) then
      redis.call('DEL', KEYS[1])
      return lost
    end
  end
end

if second - redis.call('HGET', total, 'since') < stillSeconds then return 0 end

local still = redis.call('ZRANGEBYSCORE', changed, '-inf', second - stillSeconds, 'WITHSCORES', 'LIMIT', 0, ${RUNS_PER_CALL})
for index = 1, #still, 2 do
  local run, at = still[index], still[index + 1]
  -- A key that somebody has spoiled stays as it is.
  local isRead, ended, inProgress = pcall(booksOf, run)
  if isRead and inProgress == 0 then
    moveSums(run, ended, true)
    redis.call('SREM', runs, run)
    redis.call('ZREM', changed, run)
    redis.call('ZADD', summed, at, run)
  else redis.call('ZADD', changed, second, run) end
end

-- A second later than its last SMS at the least.
local over = redis.call('ZRANGEBYSCORE', summed, '-inf', second - keepSeconds - 1, 'LIMIT', 0, ${RUNS_PER_CALL})
for _, run in ipairs(over) do
  redis.call('ZREM', summed, run)
  redis.call('DEL', prefix .. ':run:' .. run)
  redis.call('HDEL', total, 'conflict:' .. run)
  redis.call('HINCRBY', total, 'gone', 1)
end
if #over > 0 then redis.call('HINCRBY', total, 'moves', 1) end
return (#still == ${2 * RUNS_PER_CALL} or #over == ${RUNS_PER_CALL}) and 1 or 0
`;
