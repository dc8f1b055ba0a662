--[[
Stands before every script, after counts.lua: what Redis knows of one SMS, and what is counted when that changes.

The key `<Q>:sms:<id>` holds a text, `phase|run|object|status|digest|attempts|told`:
- phase: p in progress, c claimed for an object, s stored in that object
- attempts: those counted, `number:start:tookMs:lateMs:s, f or u`, separated by commas. The start (base 36, see attempt-token.ts)
  tells two executions of one attempt apart.
- told: what else was told about this SMS and counted once as a repeated send or an id conflict. Of a restored SMS also `@`
  and when it finished (milliseconds, base 36). Of an SMS that is stored as failed also `=` and the reason it is counted under.

  (nothing) --attempt--> p --outcome--> c --settle--> s --KEEP_TIME--> (nothing)
                         c --outcome for another object of a dead recorder--> c
                         any --restore--> s

From the claim on, the attempts are those of the claimed record. What was counted and differs is taken back.

What is stored is kept for KEEP_TIME, so its text is a short one of the same seven fields, at most 44 characters for one
attempt of less than ten seconds: Redis keeps a text of that length in the object of its key.

  s|demo|20261122T100000000Z-0a1b2c3d4e-000012|sent|0123456789abcdef|1:mwro18g0:1234::s|    86, 229 bytes of Redis
  s||mwro18g00a|s|89abcdef|1:mwro18g0:1234::s|                                              44, 182 bytes of Redis

- run: left out where the id tells it, see told-run.ts
- object: its mark, see object-mark.ts
- status: its first letter, which also tells the short text from the long one
- digest: the last 8 digits of 16. A content that differs is taken for the same once in 2^32.

Both texts are read. Recorders of older versions read the long text only. While Redis remembers such a recorder (a whole number
in `<Q>:recorders`, see session.lua), the long text is written.
]]
local SHORT_DIGEST_DIGITS = 8
local STATUS_OF = { s = 'sent', f = 'failed', p = 'parked', k = 'known' }

-- Number and start of an attempt: what two executions of it differ in.
local function fingerprintOf(token) return string.match(token, '^%d+:%w+') end

local function tokensOf(text)
  local tokens = {}
  for token in string.gmatch(text, '[^,]+') do tokens[string.match(token, '^%d+')] = token end
  return tokens
end

-- Whether the short text can tell the status.
local function isLetterEnough(status) return STATUS_OF[string.sub(status, 1, 1)] == status end

local function shorten(digest) return string.sub(digest, -SHORT_DIGEST_DIGITS) end

-- The run that an id tells, see told-run.ts.
local function runOf(id)
  local run, digits = string.match(id, '^(.*)%-(%d+)$')
  return run and #digits <= 9 and run or FOREIGN_RUN
end

local function parse(value, id)
  local phase, run, object, status, digest, attempts, told =
    string.match(value, '^(%a)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$')
  local isShort = #status == 1
  if isShort then status = STATUS_OF[status] end
  if run == '' then run = runOf(id) end
  -- Older versions tell a conflict with the whole digest.
  if told ~= '' then told = string.gsub(told, ';!%w+(' .. string.rep('%w', SHORT_DIGEST_DIGITS) .. ');', ';!%1;') end
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

-- An SMS that Redis has not met before.
local function meet(run)
  add(run, 'met', 1)
  return { phase = 'p', run = run, object = '', status = '', digest = '', attempts = '', told = '' }
end

-- True once for each thing told. What is told beyond 1,000 characters is counted each time, and no longer kept.
local function tellOnce(sms, what)
  local mark = ';' .. what .. ';'
  if string.find(sms.told, mark, 1, true) then return false end
  if #sms.told < 1000 then sms.told = sms.told .. mark end
  return true
end

local function noteRepeat(sms, token)
  if tellOnce(sms, fingerprintOf(token)) then add(sms.run, 'repeatedSends', 1) end
end

-- Forgets a thing told, and that it was counted.
local function takeBack(sms, what, field)
  local first, last = string.find(sms.told, ';' .. what .. ';', 1, true)
  if not first then return end
  sms.told = string.sub(sms.told, 1, first - 1) .. string.sub(sms.told, last + 1)
  add(sms.run, field, -1)
end

-- A reason is noted as long as it is counted, whatever the status: recorders of older versions know the status alone.
local function takeBackReason(sms)
  local first, last, name = string.find(sms.told, ';=([^;]*);')
  if not first then return end
  sms.told = string.sub(sms.told, 1, first - 1) .. string.sub(sms.told, last + 1)
  add(sms.run, 'reason:' .. name, -1)
end

local function noteConflict(id, sms, digest)
  local short = shorten(digest)
  if shorten(sms.digest) == short or not tellOnce(sms, '!' .. short) then return end
  add(sms.run, 'idConflicts', 1)
  if redis.call('SCARD', prefix .. ':conflicts') < 1000 then redis.call('SADD', prefix .. ':conflicts', id) end
end

-- Makes the content of a record the content of the SMS. The content that the SMS had is another one now.
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
  -- Mostly these are the attempts that were counted, and one more: only that one is looked at.
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

-- Counts what is told about an SMS whose record is chosen: each send that is not in the record is one too many.
local function tell(id, sms, digest, attempts)
  noteConflict(id, sms, digest)
  if attempts == sms.attempts then return end
  for _, token in pairs(tokensOf(attempts)) do
    if not hasSend(sms.attempts, token) then noteRepeat(sms, token) end
  end
end
