def handler(event, context)
  puts "#{event[:'event-id']} #{event[:'event-type']} #{event[:data]}"
  event[:data]
end
