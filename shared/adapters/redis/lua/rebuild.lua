--[[
Who rebuilds the counters, and the steps of a rebuild but for outcomes (see restore.lua).

KEYS: the generation of the valid counters. ARGV: prefix, generation, recorder, try, and a step with what it needs:
- begin     asks to be the recorder that rebuilds. Answers done (the counters are valid), mine or others.
- prolong   keeps the grant for GONE_AFTER_SECONDS more.
- clear     cursor. Forgets a page of what Redis knows: it may have been counted and forgotten since. Answers the next cursor.
- announce  run, accepted, acceptedUpTo, input, when it was announced (seconds, or empty). Notes what was accepted of a run.
- sum       run, largest lateness or empty, then 2 for each count: field and number. Adds to the counters of a run. A field may be
            `reason:` and a reason. The only step that must not be repeated within one try.
- finish    makes the counters valid.
- abandon   gives the grant back, where it is held: another recorder may begin at once.
The other steps answer OK. All but begin and abandon answer COUNTERS_LOST where the try does not hold the grant.
]]
local try, step = ARGV[4], ARGV[5]

local function begin()
  if areCountersValid() then return 'done' end
  -- A grant on other data is void.
  local owner, grantedOn = string.match(redis.call('GET', grant) or '', '^([^/]+)/[^/]+/(.+)$')
  if owner and grantedOn == generation and owner ~= recorder then return 'others' end
  redis.call('SET', grant, try .. '/' .. generation, 'PX', GONE_AFTER_SECONDS * 1000)
  redis.call('DEL', KEYS[1])
  return 'mine'
end

local function clear(cursor)
  local kept = { [grant] = true }
  for _, name in ipairs({
    'alive', 'recorders', 'tidying', 'senders', 'starts', 'troubles', 'pause', 'throttled', 'throttled:left', 'capacity',
    'reports', 'history',
  }) do
    kept[prefix .. ':' .. name] = true
  end
  local page = redis.call('SCAN', cursor, 'MATCH', prefix .. ':*', 'COUNT', 1000)
  -- Directives, and what the API has promised: the same request is one SMS.
  local function isPromise(key)
    for _, start in ipairs({ prefix .. ':directives', prefix .. ':request:' }) do
      if string.sub(key, 1, #start) == start then return true end
    end
  end
  for _, key in ipairs(page[2]) do
    if not kept[key] and not isPromise(key) then redis.call('UNLINK', key) end
  end
  return page[1]
end

if step == 'begin' then return begin() end
if step == 'abandon' then
  if isGrantedTo(try) then redis.call('DEL', grant) end
  return 'OK'
end
if not prolong(try) then return lost end
if step == 'clear' then return clear(ARGV[6]) end
if step == 'announce' then
  -- The outcomes of the run tell when it changed last.
  changedAt[ARGV[6]] = 0
  announce(ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10])
elseif step == 'sum' then
  local run, late = ARGV[6], ARGV[7]
  for index = 8, #ARGV, 2 do
    local reason = string.match(ARGV[index], '^reason:(.*)')
    add(run, reason and 'reason:' .. nameOfReason(reason) or ARGV[index], tonumber(ARGV[index + 1]))
  end
  if late ~= '' then latest[run] = tonumber(late) end
  -- What is only summed finished more than KEEP_TIME ago.
  changedAt[run] = 0
  writeCounts()
elseif step == 'finish' then
  redis.call('SET', KEYS[1], generation)
  redis.call('DEL', grant)
elseif step ~= 'prolong' then
  return redis.error_reply('ERR no such step: ' .. step)
end
return 'OK'
