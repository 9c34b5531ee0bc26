sleep 3

def handler(event, context)
  'started'
end
