-- wrk: durable submissions, each with a key of its own. BODY, PATH and RUN come from the environment.
local body = os.getenv("BENCH_BODY")
local path = os.getenv("BENCH_PATH")
local run = os.getenv("BENCH_RUN") or "r"
local threads = 0
function setup(thread) thread:set("id", threads) threads = threads + 1 end
local n = 0
function request()
  n = n + 1
  return wrk.format("POST", path, {["Content-Type"] = "application/json", ["Idempotency-Key"] = run .. "-" .. id .. "-" .. n, ["Accept-Language"] = "en"}, body)
end
local bad = 0
function response(status) if status ~= 201 and status ~= 200 then bad = bad + 1 end end
function done(summary, latency)
  io.write(string.format("RATE %.1f P50 %.2f P99 %.2f ERRORS %d\n", summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.errors.status + summary.errors.timeout + summary.errors.connect))
end
