-- Requests for wrk, made after the plan in the file that is this script's argument.
--
-- A plan's body is a list of pieces: text, or the name of a hole that every request fills
-- with something of its own, so that no two requests are the same. Written by plan.py.

local plan
local count = 0
statuses = {}

function setup(thread)
  -- wrk runs with one thread; `done` asks it for its counts.
  worker = thread
end

function init(arguments)
  plan = dofile(arguments[1])
  count = plan.first
end

local holes = {
  run = function() return plan.runs[count % #plan.runs + 1] end,
  step = function() return string.format("%d", count) end,
  time = function() return string.format("%d", 1760000000000 + count) end,
  -- Eight bytes that all requests of this plan share, and the number of the request.
  trace = function()
    local bytes, rest = {}, count
    for place = 8, 1, -1 do
      bytes[place] = string.char(rest % 256)
      rest = math.floor(rest / 256)
    end
    return plan.salt .. table.concat(bytes)
  end,
}

function request()
  count = count + 1
  local filled, body = {}, {}
  for place, piece in ipairs(plan.body) do
    if piece.hole then
      -- One request, one value: a trace id stands in each of its spans.
      filled[piece.hole] = filled[piece.hole] or holes[piece.hole]()
      body[place] = filled[piece.hole]
    else
      body[place] = piece.text
    end
  end
  return wrk.format(plan.method, plan.path, plan.headers, table.concat(body))
end

function response(status)
  statuses[status] = (statuses[status] or 0) + 1
end

function done(summary, latency)
  local errors = summary.errors
  local counted = {}
  for status, times in pairs(worker:get("statuses")) do
    table.insert(counted, string.format('"%d": %d', status, times))
  end
  io.write(string.format(
    '\nBENCH {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, ' ..
    '"connect": %d, "read": %d, "write": %d, "timeout": %d, "statuses": {%s}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, table.concat(counted, ", ")
  ))
end
