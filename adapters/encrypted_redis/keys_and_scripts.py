"""The keys in Redis, and the scripts that read and write them atomically.

    conversation:state:<sessionId>            list    sealed frames       24 h after the last turn
    {conversation:state:<sessionId>}:turn     stream  sealed log entries  10 min; 60 s after the end
    {conversation:state:<sessionId>}:forgotten  string  id of the newest turn   60 s
    process:<processId>                       string  a counter           10 s
    {ratelimit}:<limit>:<digest>              string  a moment, in µs     at that moment
    {ratelimit}:open-turns-<scope>:<digest>   hash    leases by digest    with the newest lease

Only the part between the braces is hashed, so in a cluster all keys of a conversation are in one
slot, and so are all keys of the limits. The only other keys are written and deleted by the script
of the readiness check.

Tags serve as versions: the last 16 bytes of the last frame change with every write.
"""

import hashlib
from datetime import timedelta
from typing import Final

from attrs import frozen

from domain.model.identifiers import ProcessId, SessionId

RUNNING_TTL: Final = timedelta(minutes=10)
ENDED_TTL: Final = timedelta(seconds=60)
LEASE_TTL: Final = timedelta(seconds=10)
FORGOTTEN_TTL: Final = timedelta(seconds=60)
"""Much longer than ``redis_client.LONGEST_REPEAT``, after which no script is sent again."""
READINESS_KEYS: Final = ("conversation:state:ready", "{ratelimit}:ready")


def state_key(session_id: SessionId) -> str:
    """The key of the list of a conversation's frames."""
    return f"conversation:state:{session_id}"


def log_key(session_id: SessionId) -> str:
    """The key of the stream that logs a conversation's newest turn."""
    return f"{{{state_key(session_id)}}}:turn"


def lease_key(process: ProcessId) -> str:
    """The key of the lease of a process."""
    return f"process:{process}"


def forgotten_key(session_id: SessionId) -> str:
    """The key of the mark that names the newest turn of a conversation that was just forgotten."""
    return f"{{{state_key(session_id)}}}:forgotten"


def limit_key(limit: str, subject: str) -> str:
    """The key of what ``subject`` has used of the limit with this name."""
    return f"{{ratelimit}}:{limit}:{subject}"


def milliseconds(duration: timedelta) -> int:
    """``duration`` in whole milliseconds, the unit of PEXPIRE."""
    return duration // timedelta(milliseconds=1)


@frozen
class Script:
    """A Lua script and its SHA-1 digest, by which EVALSHA calls it."""

    text: str
    digest: str


def _script(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


SPLICE: Final = _script("""
-- KEYS: state, log, mark of a forgotten turn.
-- ARGV: expected tag or '', number of frames to drop, ttl in ms or 0 to keep it,
-- turn id or '' to open no log, log id, log entry, log ttl, frames to push ...
local call = redis.call
local last = call('LINDEX', KEYS[1], -1)
if last and last == ARGV[#ARGV] then return 'OK' end
if not last and ARGV[1] ~= '' then return 'GONE' end
if last and ARGV[1] == '' then return 'EXISTS' end
-- Sent again because its reply was lost, while another process forgot the conversation.
if ARGV[1] == '' and ARGV[4] ~= '' and redis.call('GET', KEYS[3]) == ARGV[4] then
  return 'FORGOTTEN'
end
if last and string.sub(last, -16) ~= ARGV[1] then return 'CONFLICT' end
local ttl = tonumber(ARGV[3])
if ttl == 0 then
  ttl = call('PTTL', KEYS[1])
  -- 0 means less than a millisecond is left. Below 0 the key never expires, so give it a ttl.
  if ttl == 0 then ttl = 1 elseif ttl < 0 then ttl = 86400000 end
end
if ARGV[2] == '1' and #ARGV == 8 then
  call('LSET', KEYS[1], -1, ARGV[8])
else
  if ARGV[2] ~= '0' then call('LTRIM', KEYS[1], 0, -1 - tonumber(ARGV[2])) end
  call('RPUSH', KEYS[1], unpack(ARGV, 8))
end
call('PEXPIRE', KEYS[1], ttl)
if ARGV[4] ~= '' then
  redis.call('DEL', KEYS[2])
  redis.call('XADD', KEYS[2], ARGV[5], 't', ARGV[4], 'd', ARGV[6])
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
return 'OK'
""")

REOPEN: Final = _script("""
-- KEYS: state, log. ARGV: expected tag, turn id, log id, log entry, log ttl
local last = redis.call('LINDEX', KEYS[1], -1)
if not last then return 'GONE' end
if string.sub(last, -16) ~= ARGV[1] then return 'CONFLICT' end
local entries = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 2)
-- A log with only a head counts as opened now: the reply to an earlier try may have been lost.
if #entries == 1 and entries[1][2][2] == ARGV[2] then return 'OPENED' end
if #entries == 0 then
  redis.call('XADD', KEYS[2], ARGV[3], 't', ARGV[2], 'd', ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
  return 'OPENED'
end
return 'OK'
""")

FORGET: Final = _script("""
-- KEYS: state, log, mark of a forgotten turn.
-- ARGV: expected tag or '' for any, ttl of the mark in ms
if ARGV[1] ~= '' then
  local last = redis.call('LINDEX', KEYS[1], -1)
  if not last then return 'GONE' end
  if string.sub(last, -16) ~= ARGV[1] then return 'CONFLICT' end
end
-- The script that opened the turn may be sent again. A log of another type has no head.
local head = redis.pcall('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
if head then redis.call('SET', KEYS[3], head[2][2], 'PX', ARGV[2]) end
redis.call('DEL', KEYS[1], KEYS[2])
return 'OK'
""")

READY: Final = _script("""
-- KEYS: a key for conversations and one for limits, used by nothing else. Leaves nothing behind;
-- fails if writes are refused or our user lacks a permission.
redis.call('RPUSH', KEYS[1], '')
redis.call('HSET', KEYS[2], 'ready', redis.call('TIME')[1])
redis.call('HDEL', KEYS[2], 'ready')
redis.call('DEL', KEYS[1], KEYS[2])
return 'OK'
""")

_HEAD: Final = """
local head = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not head then return 'GONE' end
if head[2][2] ~= ARGV[1] then return 'SUPERSEDED' end
local turn = string.match(head[1], '^(%d+)-')
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1]
local ended = last == turn .. '-18446744073709551615'
local count = tonumber(string.match(last, '-(%d+)$'))
"""

APPEND: Final = _script(
    _HEAD
    + """
-- KEYS: log. ARGV: turn id, ttl in ms, number of the piece before these, number of the last one
-- or '' for a heartbeat, entry
if ended then return 'SUPERSEDED' end
-- Redis restarted without its latest entries: add nothing after the gap.
if count < tonumber(ARGV[3]) then return 'BEHIND' end
if ARGV[4] ~= '' and count < tonumber(ARGV[4]) then
  redis.call('XADD', KEYS[1], 'NOMKSTREAM', turn .. '-' .. ARGV[4], 'd', ARGV[5])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
-- A stop is a consumer group: it is deleted with the stream, and uses up no entry id.
if #redis.call('XINFO', 'GROUPS', KEYS[1]) > 0 then return 'STOPPED' end
return 'OK'
"""
)

END: Final = _script(
    _HEAD
    + """
-- KEYS: log. ARGV: turn id, ttl in ms, number of the piece before these, entry
if ended then return 'OK' end
if count < tonumber(ARGV[3]) then return 'BEHIND' end
redis.call('XADD', KEYS[1], 'NOMKSTREAM', turn .. '-18446744073709551615', 'd', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'OK'
"""
)

STOP: Final = _script(
    _HEAD
    + """
-- KEYS: log. ARGV: turn id
if ended then return 'ENDED' end
if #redis.call('XINFO', 'GROUPS', KEYS[1]) == 0 then
  redis.call('XGROUP', 'CREATE', KEYS[1], 'stop', '$')
end
return 'OK'
"""
)

READ: Final = _script(
    _HEAD
    + """
-- KEYS: log. ARGV: turn id, number of the first piece to return
local entries = redis.call('XRANGE', KEYS[1], turn .. '-' .. ARGV[2], '+')
return {head[1], head[2][4], redis.call('PTTL', KEYS[1]), ended and 1 or 0, entries}
"""
)

_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function moment(key, window)
  local stored = tonumber(redis.call('GET', key)) or now
  -- A moment further ahead than two windows was stored before the clock was set back.
  if stored > now + 2 * window + 1 then return now end
  return math.max(stored, now)
end
local function store(key, value)
  if value <= now then redis.call('DEL', key) else
    local ttl = math.ceil((value - now) / 1000)
    redis.call('SET', key, string.format('%.0f', value), 'PX', string.format('%.0f', ttl))
  end
end
"""

CONSUME: Final = _script(
    _NOW
    + """
-- KEYS: counters, then the tables of open turns. ARGV: number of counters, conversation, holder,
-- lease in µs, cost and window of each counter in µs, then the limit of each table.
-- See domain/service/rate_limiting.py. A refusal is the position of the limit, the time until it
-- permits this, and the part of the window that is left, both in µs.
local counters, lease = tonumber(ARGV[1]), tonumber(ARGV[4])
local moments, refusal = {}, nil
for i = 1, counters do
  local cost, window = tonumber(ARGV[3 + 2 * i]), tonumber(ARGV[4 + 2 * i])
  local last = moment(KEYS[i], window)
  moments[i] = math.max(now, last + cost)
  local wait = moments[i] - now - window
  if cost > 0 and wait > 1 and (not refusal or wait > refusal[2]) then
    refusal = {i, wait, now + window - last}
  end
end
local is_shared = false
for i = counters + 1, #KEYS do
  local others, entries = 0, redis.call('HGETALL', KEYS[i])
  for j = 1, #entries, 2 do
    local expires, holder = string.match(entries[j + 1], '^(%d+) (.*)$')
    local left = tonumber(expires) - now
    if left <= 0 or left > lease then redis.call('HDEL', KEYS[i], entries[j])
    elseif entries[j] ~= ARGV[2] then others = others + 1
    elseif holder ~= ARGV[3] then is_shared = true end
  end
  if others >= tonumber(ARGV[4 + counters + i]) and not refusal then refusal = {i, 0, 0} end
end
if refusal then
  return {refusal[1], string.format('%.0f', refusal[2]), string.format('%.0f', refusal[3])}
end
for i = 1, counters do store(KEYS[i], moments[i]) end
if is_shared then return 'SHARED' end
for i = counters + 1, #KEYS do
  redis.call('HSET', KEYS[i], ARGV[2], string.format('%.0f', now + lease) .. ' ' .. ARGV[3])
  redis.call('PEXPIRE', KEYS[i], string.format('%.0f', lease / 1000))
end
return 'OK'
"""
)

SETTLE: Final = _script(
    _NOW
    + """
-- KEYS: counters, then the tables of open turns. ARGV: number of counters, conversation, holder,
-- cost and window of each counter in µs.
local counters = tonumber(ARGV[1])
for i = 1, counters do
  local cost, window = tonumber(ARGV[2 + 2 * i]), tonumber(ARGV[3 + 2 * i])
  store(KEYS[i], math.min(moment(KEYS[i], window) + cost, now + 2 * window))
end
for i = counters + 1, #KEYS do
  local held = redis.call('HGET', KEYS[i], ARGV[2])
  if held and string.match(held, '^%d+ (.*)$') == ARGV[3] then
    redis.call('HDEL', KEYS[i], ARGV[2])
  end
end
return 'OK'
"""
)

HOLD: Final = _script(
    _NOW
    + """
-- KEYS: the tables of open turns. ARGV: conversation, holder, lease in µs
local lease = tonumber(ARGV[3])
for i = 1, #KEYS do
  redis.call('HSET', KEYS[i], ARGV[1], string.format('%.0f', now + lease) .. ' ' .. ARGV[2])
  redis.call('PEXPIRE', KEYS[i], string.format('%.0f', lease / 1000))
end
return 'OK'
"""
)
