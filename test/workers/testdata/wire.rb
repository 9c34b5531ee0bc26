# Answers as the header Event-Type says; without it, with the Event-Id.

require 'digest'

def handler(event, _context)
  return "sum #{Digest::SHA256.hexdigest(event[:data])}" if event[:'event-id'] == 'sum'
  return "id #{event[:'event-id']}" unless event[:'event-type']

  order = JSON.parse(event[:'event-type'])
  response = event[:extensions][:response]
  response.status = order['status'] if order.key?('status')
  order.fetch('headers', []).each { |name, value| response[name] = value }
  body = order.fetch('body', 'hello')
  case order['kind']
  when 'text' then body
  when 'request' then about(event[:extensions][:request])
  when 'environment' then event[:extensions][:request].env.select { |_, value| value.is_a?(String) }
  when 'bytes' then body.b
  when 'json' then [body]
  when 'stream' then response << body << body
  when 'changes'
    response << body
    response.status = 204
  when 'keep'
    $kept = response
    body
  when 'late'
    $kept << 'for another call'
    body
  end
end

def about(request)
  simple = %i[post? xhr? secure? safe? idempotent? forwarded? base_url url port host scheme script_name cookies referer media_type form_data? content_length]
  simple.to_h { |name| [name, request.public_send(name)] }.merge(
    params: request.params.transform_values { |v| v.is_a?(Hash) && v[:tempfile] ? [v[:filename], v[:type], v[:tempfile].read.bytesize] : v },
    get: request.GET, accept: request.accept.map(&:to_s), preferred_type: request.preferred_type('text/html', 'application/json'),
    accept?: request.accept?('text/html'), respond_to: request.respond_to?(:no_such), body: request.body.read.bytesize
  )
end
