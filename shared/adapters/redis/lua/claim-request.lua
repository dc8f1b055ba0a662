--[[
Claims a request of a client, so that the same request, made twice, is one SMS.

KEYS: the request; the SMS of the id that the client chose (the request again where it chose none). ARGV: digest of the request,
the id that its SMS gets, seconds for which the claim holds, seconds for which the request is remembered, who claims, what is
told of the SMS, the digest of its content as recorders tell it (empty where the client chose no id), and what the keys of SMS
begin with.
Answers { kind, id, told }: `claimed`, `taken over` (a claim of before has run out, and its SMS may be with RabbitMQ: with its id),
`done`, `open` (somebody else is at it), `other` (another request has this key), or `known` (recorders have met the SMS).
A claim may be left open although its SMS was accepted, by a process that lost Redis: what recorders know is truer.

The key holds `o|digest|id|until|owner|told` while it is claimed and `d|digest|id|||told` once the SMS is accepted.
]]
local digest, id, holdSeconds, keepSeconds, owner, told, content, smsPrefix = unpack(ARGV)
local now = tonumber(redis.call('TIME')[1])

local function claim(answer, claimedId, itsTold)
  local value = table.concat({ 'o', digest, claimedId, now + holdSeconds, owner, itsTold }, '|')
  redis.call('SET', KEYS[1], value, 'EX', keepSeconds)
  return { answer, claimedId, itsTold }
end

local sms = content ~= '' and redis.call('GET', KEYS[2])
-- Of an SMS in progress, nothing is known of the content; of a settled one, the last digits of its digest.
local metContent = sms and string.match(sms, '^%a|[^|]*|[^|]*|[^|]*|([^|]*)|') or ''
local function answerMet()
  local isOther = metContent ~= '' and string.sub(metContent, -8) ~= string.sub(content, -8)
  return { isOther and 'other' or 'known', id, '' }
end

local value = redis.call('GET', KEYS[1])
if value then
  local phase, itsDigest, itsId, untilSecond, _, itsTold = string.match(value, '^(%a)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|(.*)$')
  if phase == 'o' and metContent ~= '' then return answerMet() end
  if itsDigest ~= digest then return { 'other', itsId, '' } end
  if phase == 'd' then return { 'done', itsId, itsTold } end
  if sms then return answerMet() end
  if redis.call('EXISTS', smsPrefix .. itsId) == 1 then return { 'known', itsId, '' } end
  if tonumber(untilSecond) >= now then return { 'open', itsId, '' } end
  return claim('taken over', itsId, itsTold)
end
if sms then return answerMet() end
return claim('claimed', id, told)
