-- Sends the requests of a file, byte for byte and in their order; the threads of wrk take turns.
--   wrk -s bench/replay.lua URL -- FILE FIRST LOOP
-- FIRST: how many were sent before (the last round's "next"). LOOP: "loop" to begin again at the
-- end; otherwise running out is an error that is reported.

local threads = {}

function setup(thread)
  thread:set("turn", #threads)
  table.insert(threads, thread)
end

function init(args)
  requests = {}
  local file = assert(io.open(args[1], "rb"))
  for request in file:read("*a"):gmatch("[^\30]+") do
    table.insert(requests, request)
  end
  file:close()
  first, loops = tonumber(args[2]), args[3] == "loop"
  sent, ran_out = 0, 0
end

function request()
  local position = first + 2 * sent + turn
  sent = sent + 1
  if position >= #requests then
    if not loops then
      ran_out = ran_out + 1
    end
    position = position % #requests
  end
  return requests[position + 1]
end

function done(summary, latency, _)
  local first, most, ran_out = threads[1]:get("first"), 0, 0
  for _, thread in ipairs(threads) do
    most = math.max(most, thread:get("sent"))
    ran_out = ran_out + thread:get("ran_out")
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "p99": %d, "next": %d, "ran_out": %d, "refused": %d, '
      .. '"connect": %d, "read": %d, "write": %d, "timeout": %d}\n',
    summary.requests, summary.duration, latency:percentile(99), first + 2 * most, ran_out,
    errors.status, errors.connect, errors.read, errors.write, errors.timeout
  ))
end
