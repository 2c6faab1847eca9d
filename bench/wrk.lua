-- wrk ... -s wrk.lua URL -- METHOD BODY_BYTES [PREFIX]  With PREFIX each request has a path of its own.   The last line of output is the result as JSON.
function init(args)
   wrk.method = args[1]
   if tonumber(args[2]) > 0 then
      wrk.body = string.rep("x", tonumber(args[2]))
      wrk.headers["Content-Type"] = "application/octet-stream"
   end
   if args[3] then
      local prefix, count = args[3], 0
      request = function()
         count = count + 1
         return wrk.format(nil, prefix .. count)
      end
   end
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format(
      '{"requests":%d,"seconds":%.6f,"p50":%.3f,"p99":%.3f,"failed":%d,"refused":%d}\n',
      summary.requests, summary.duration / 1e6,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      e.connect + e.read + e.write + e.timeout, e.status))
end
