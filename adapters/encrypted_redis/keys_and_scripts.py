"""The scripts that Redis runs for us, each in one step. What they compare and write is sealed.

Tags take the place of versions: the last 16 bytes of the last frame change with every write.

The names of keys in Redis, and how long they stay.

    conversation:state:<sessionId>            list    sealed frames       24 h from the last turn
    {conversation:state:<sessionId>}:turn     stream  sealed log entries  10 min; 60 s from the end

The braces put both keys of a conversation into one slot of a cluster: the part between them is all
is hashed. No other key is written, but for one that a readiness check writes and deletes itself.
"""

import hashlib
from datetime import timedelta
from typing import Final

from attrs import frozen

from domain.model.identifiers import SessionId


@frozen
class Script:
    """A script and the digest it is called by."""

    text: str
    digest: str


def _script(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


SPLICE: Final = _script("""
-- KEYS: state, log. ARGV: expected tag or '', frames to drop, ttl in ms or 0 to leave it,
-- turn id or '' to open no log, log id, log entry, log ttl, frames to push ...
local call = redis.call
local last = call('LINDEX', KEYS[1], -1)
if last and last == ARGV[#ARGV] then return 'OK' end
if not last and ARGV[1] ~= '' then return 'GONE' end
if last and ARGV[1] == '' then return 'EXISTS' end
if last and string.sub(last, -16) ~= ARGV[1] then return 'CONFLICT' end
local ttl = tonumber(ARGV[3])
if ttl == 0 then
  ttl = call('PTTL', KEYS[1])
  -- In its last millisecond a key has 0 left; one below 0 has no end, and is to have one.
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
local known = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 2)
-- One that holds nothing yet counts as opened now: the answer to that may have been lost.
if #known == 1 and known[1][2][2] == ARGV[2] then return 'OPENED' end
if #known == 0 then
  redis.call('XADD', KEYS[2], ARGV[3], 't', ARGV[2], 'd', ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
  return 'OPENED'
end
return 'OK'
""")

FORGET: Final = _script("""
-- KEYS: state, log. ARGV: expected tag
local last = redis.call('LINDEX', KEYS[1], -1)
if not last then return 'GONE' end
if string.sub(last, -16) ~= ARGV[1] then return 'CONFLICT' end
redis.call('DEL', KEYS[1], KEYS[2])
return 'OK'
""")

READY: Final = _script("""
-- KEYS: one that nobody uses. Nothing is left, but a server that takes no writes refuses this one.
redis.call('RPUSH', KEYS[1], '')
redis.call('DEL', KEYS[1])
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
-- or '' for a sign of life, entry
if ended then return 'SUPERSEDED' end
-- A server that came back without its last second: nothing is put behind what is missing.
if count < tonumber(ARGV[3]) then return 'BEHIND' end
if ARGV[4] ~= '' and count < tonumber(ARGV[4]) then
  redis.call('XADD', KEYS[1], 'NOMKSTREAM', turn .. '-' .. ARGV[4], 'd', ARGV[5])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
-- A stop is a consumer group: part of the stream, gone with it, and it takes no entry's id.
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
-- KEYS: log. ARGV: turn id, number of the first piece wanted
local entries = redis.call('XRANGE', KEYS[1], turn .. '-' .. ARGV[2], '+')
return {head[1], head[2][4], redis.call('PTTL', KEYS[1]), ended and 1 or 0, entries}
"""
)


RUNNING_STAY: Final = timedelta(minutes=10)
ENDED_STAY: Final = timedelta(seconds=60)
NOBODYS_KEY: Final = "conversation:state:ready"


def state_key(session_id: SessionId) -> str:
    """The list of a conversation's frames."""
    return f"conversation:state:{session_id}"


def log_key(session_id: SessionId) -> str:
    """The stream of its newest turn's log."""
    return f"{{{state_key(session_id)}}}:turn"


def milliseconds(stay: timedelta) -> int:
    """A stay as Redis counts it."""
    return stay // timedelta(milliseconds=1)
