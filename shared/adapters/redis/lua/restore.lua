--[[
Counts outcomes that are stored in an object, whatever Redis knew of them. May be repeated without effect.

KEYS: the generation of the valid counters. ARGV: prefix, generation, recorder, try (empty while nobody rebuilds), object, its
mark, KEEP_TIME in ms, then 7 for each outcome: id, run, status, digest, attempts, when it finished (ms, base 36; empty while
nobody rebuilds), why it failed (empty where it did not, or nobody says). Answers OK.

A rebuild remembers an SMS for what is left of KEEP_TIME since it finished. Else each loss of Redis would fill it with days of
SMS whose ids are new again. Each SMS is remembered for an hour at least, because its journal message may still be on its way:
handed out again, behind a backlog, after the recorder that stored it died.
]]
local try, object, objectMark, keepMs = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
if try ~= '' and not prolong(try) then return lost end
if try == '' and not areCountersValid() then return lost end
signalLife()
local nowMs = second * 1000 + math.floor(time[2] / 1000)
local canBeShort = objectMark ~= '' and areShortTextsRead()

local function lifeOf(finishedAt)
  if not finishedAt then return keepMs end
  local leastMs = math.min(keepMs, RESTORED_LIFE_SECONDS * 1000)
  return math.min(keepMs, math.max(leastMs, finishedAt + keepMs - nowMs))
end

local function finishOf(sms)
  local mark = string.match(sms.told, ';@(%w+);')
  return mark and tonumber(mark, 36)
end

local function restore(id, run, status, digest, attempts, mark, reason)
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
  if sms.phase == 's' then add(sms.run, sms.status, -1); takeBackReason(sms) end
  reconcile(sms, run, attempts)
  chooseContent(id, sms, digest)
  sms.isShort = canBeShort and isLetterEnough(status)
  sms.phase, sms.object, sms.status = 's', sms.isShort and objectMark or object, status
  add(run, status, 1)
  if reason ~= '' then sms.told = sms.told .. countReason(run, reason) end
  if finishedAt then sms.told = ';@' .. mark .. ';' .. string.gsub(sms.told, ';@%w+;', '') end
  local life = lifeOf(finishedAt)
  -- The run is remembered as long as its SMS.
  if finishedAt then changedAt[run] = math.max(changedAt[run] or 0, math.ceil((nowMs + life - keepMs) / 1000)) end
  -- Of two SMS of one id, the later one is remembered.
  if not (isOther and knownAt > finishedAt) then save(id, sms, string.format('%.0f', life)) end
end

for index = 8, #ARGV, 7 do restore(unpack(ARGV, index, index + 6)) end
writeCounts()
return 'OK'
