-- Sends the requests of a file, byte for byte and in their order, from wrk's only thread: a first of
-- several would begin while the next one reads the file, before the clock runs.
--   wrk -s bench/replay.lua URL -- FILE FIRST LOOP
-- FIRST: how many were sent before (the last round's "next"). LOOP: "loop" to begin again at the
-- end; otherwise running out is an error that is reported.

local only

function setup(thread)
  only = thread
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
  local position = first + sent
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
  local errors = summary.errors
  local told = {
    requests = summary.requests, microseconds = summary.duration, p99 = latency:percentile(99),
    next = only:get("first") + only:get("sent"), ran_out = only:get("ran_out"),
    refused = errors.status, connect = errors.connect, read = errors.read, write = errors.write,
    timeout = errors.timeout,
  }
  local fields = {}
  for name, number in pairs(told) do
    table.insert(fields, string.format('"%s": %d', name, number))
  end
  io.write("\n{" .. table.concat(fields, ", ") .. "}\n")
end
