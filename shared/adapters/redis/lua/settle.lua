--[[
Counts the claimed outcomes of an object that is stored. May be repeated without effect.

KEYS: the generation of the valid counters. ARGV: prefix, generation, recorder, object, its mark, the runs that the ids tell
between bars, KEEP_TIME in ms, how many SMS, their keys, each once, and for SMS that failed why each of them did (empty where
nobody says).
Answers the positions of the SMS that are neither claimed for the object nor stored in it.

All texts are read at once, and a text is taken apart only where it begins otherwise than the one before.
]]
local object, mark, toldRuns, keepMs, keyCount = ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
if not areCountersValid() then return lost end
signalLife()

-- Of a content, as recorders tell it of an SMS that is claimed.
local DIGEST_DIGITS = 16
local BAR = string.byte('|')
local ofObject = '|([^|]*)|' .. string.gsub(object, '%W', '%%%0') .. '|([^|]*)|'
local ofMark = '^s|[^|]*|' .. mark .. '|%a|'
local canBeShort = mark ~= '' and areShortTextsRead()
local head, run, status, settledCount = '|', '', '', 0
-- How the settled texts of this head begin, and from where on the claimed text follows.
local settledHead, restFrom
-- Where the ids tell several runs: how the short texts of this head begin whose id tells their run.
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
  local hasFullDigest = string.byte(value, #head + DIGEST_DIGITS + 1) == BAR
  if not (canBeShort and hasFullDigest and isLetterEnough(status)) then return end
  local rest = '|' .. mark .. '|' .. string.sub(status, 1, 1) .. '|'
  settledHead, restFrom = 's|' .. run .. rest, #head + DIGEST_DIGITS - SHORT_DIGEST_DIGITS + 1
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

local areReasonsTold = #ARGV > 8 + keyCount
local function countReasonAt(position)
  local reason = ARGV[8 + keyCount + position]
  return reason == '' and '' or countReason(run, reason)
end

local strangers = {}
local values = keyCount > 0 and redis.call('MGET', unpack(ARGV, 9, 8 + keyCount)) or {}
for position, value in ipairs(values) do
  if value and isClaimed(value) then
    local key = ARGV[8 + position]
    local itsHead = headWithoutRun and isRunTold(key) and headWithoutRun or settledHead
    local settled = itsHead .. string.sub(value, restFrom)
    if areReasonsTold then settled = settled .. countReasonAt(position) end
    redis.call('SET', key, settled, 'PX', keepMs)
    settledCount = settledCount + 1
  elseif not (value and (string.find(value, '^s' .. ofObject) or string.find(value, ofMark))) then
    strangers[#strangers + 1] = position
  end
end
countSettled()
writeCounts()
return strangers
