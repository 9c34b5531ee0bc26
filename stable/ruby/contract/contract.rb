# Does what its data says: the contract suite calls it.

def handler(event, context)
  data = event[:data]
  return 'hello world' if data == ''
  return data unless data.is_a?(Hash) && data.key?('do')

  request, response = event[:extensions].values_at(:request, :response)
  case data['do']
  when 'echo' then data['value']
  when 'event' then event.slice(:'event-id', :'event-type', :'event-time', :'event-namespace')
  when 'context' then context
  when 'request' then { method: request.request_method, path: request.path, header: request.env['HTTP_X_CONTRACT'] }
  when 'status' then teapot(response, data['code'])
  when 'header'
    response[data['name']] = data['text']
    'framed'
  when 'stream' then stream(response, data['parts'], data['seconds'])
  when 'sleep'
    sleep data['seconds']
    'slept'
  when 'spin' then loop { nil }
  when 'fail' then raise 'contract: failing on purpose'
  when 'exit' then exit!(3)
  when 'crash' then Process.kill(:KILL, Process.pid)
  when 'big' then 'x' * data['bytes']
  when 'bytes' then (0..255).to_a.pack('C*')
  when 'print'
    puts data['text']
    'printed'
  when 'flood' then flood(data['bytes'])
  when 'write' then write(data['path'])
  else raise "contract: no idea how to #{data['do']}"
  end
end

def teapot(response, code)
  response.status = code
  response['X-Contract'] = 'set'
  'teapot'
end

def stream(response, parts, seconds)
  parts.times do |part|
    sleep seconds unless part.zero?
    response.write("part #{part}\n")
  end
end

def flood(bytes)
  line = "#{'x' * 1000}\n"
  (bytes / line.size).times { $stdout.write(line) }
  $stdout.write("#{'x' * (bytes % line.size)}\n")
  'flooded'
end

def write(path)
  File.write(path, "contract\n")
  'written'
rescue SystemCallError
  'refused'
end
