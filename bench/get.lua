-- wrk: GET of the paths in BENCH_PATHS (by newline), in turn.
local paths = {}
for p in string.gmatch(os.getenv("BENCH_PATHS"), "[^\n]+") do paths[#paths + 1] = p end
local n = 0
function request()
  n = n + 1
  return wrk.format("GET", paths[n % #paths + 1])
end
function done(summary, latency)
  io.write(string.format("RATE %.1f P50 %.2f P99 %.2f ERRORS %d\n", summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.errors.status + summary.errors.timeout + summary.errors.connect))
end
