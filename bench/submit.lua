-- wrk: durable submissions, each with a key of its own. BODY, PATH, RUN and further HEADERS (a line each) come from the environment.
local body = os.getenv("BENCH_BODY")
local path = os.getenv("BENCH_PATH")
local run = os.getenv("BENCH_RUN") or "r"
local headers = {["Content-Type"] = "application/json", ["Accept-Language"] = "en"}
for name, value in string.gmatch(os.getenv("BENCH_HEADERS") or "", "([^:\n]+): ([^\n]+)") do headers[name] = value end
local threads = 0
function setup(thread) thread:set("id", threads) threads = threads + 1 end
local n = 0
function request()
  n = n + 1
  headers["Idempotency-Key"] = run .. "-" .. id .. "-" .. n
  return wrk.format("POST", path, headers, body)
end
function done(summary, latency)
  io.write(string.format("RATE %.1f P50 %.2f P99 %.2f ERRORS %d\n", summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.errors.status + summary.errors.timeout + summary.errors.connect))
end
