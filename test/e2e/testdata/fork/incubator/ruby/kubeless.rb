require "webrick"

WEBrick::HTTPServer.new(Port: (ENV["FUNC_PORT"] || 8080).to_i).start
