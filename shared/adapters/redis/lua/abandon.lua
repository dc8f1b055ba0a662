--[[
Gives back the claims of an object that was not and will not be stored: its SMS are in progress again.

KEYS: the generation of the valid counters. ARGV: prefix, generation, recorder, object, ids of SMS. Answers OK.
]]
local object = ARGV[4]
if not areCountersValid() then return lost end
for index = 5, #ARGV do
  local id = ARGV[index]
  local sms = load(id)
  if sms and sms.phase == 'c' and sms.object == object then
    sms.phase, sms.object, sms.status = 'p', '', ''
    save(id, sms)
  end
end
return 'OK'
