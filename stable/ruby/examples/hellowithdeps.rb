require 'greeting'

def handler(event, context)
  Greeting.new('world').to_s
end
