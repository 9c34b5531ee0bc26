# frozen_string_literal: true

# Serves one function to the proxy, one call at a time, over HTTP/1.1 on the
# Unix socket FUNC_SOCKET. The function's file is loaded as a script, and its
# methods become everybody's, so the worker's own are in a module.

require 'io/nonblock'
require 'json'
require 'socket'
require 'stringio'
require_relative 'request_reader'

autoload :Gem, 'rubygems'
autoload :URI, 'uri'

# Workers run with --disable-gems: RubyGems takes longer to start than all the
# rest. It is loaded for functions that name it, or require one of its gems.
module LazyLibraries
  private

  def require(path)
    super
  rescue LoadError
    raise unless Object.autoload?(:Gem)

    ::Gem && super
  end

  def gem(...) = ::Gem && super
  def URI(...) = ::URI && super
end
Object.include(LazyLibraries) # before Kernel in the order of look-up

module KubelessWorker
  TEXT = 'text/plain; charset=utf-8'
  BYTES = 'application/octet-stream'

  # The request cannot become an event; the message is the answer.
  class BadRequest < StandardError; end

  # Headers of responses that say what the connection does, or what the worker
  # tells the proxy: a function's own, passed on from another server, say, are
  # left out.
  NOT_THE_FUNCTIONS = /\A(?:connection|content-length|date|keep-alive|proxy-connection|trailer|transfer-encoding|upgrade|x-func-.*)\z/im
  NAME = /\A[!#$%&'*+.^_`|~0-9A-Za-z-]+\z/
  VALUE = /\A[\t\x20-\x7e]*\z/

  # Headers by name in any case, in lower case inside.
  class Headers < Hash
    def [](name) = super(name.to_s.downcase)
    def key?(name) = super(name.to_s.downcase)
    def fetch(name, *default, &) = super(name.to_s.downcase, *default, &)
  end

  # event[:extensions][:request], with the names that Sinatra's request has.
  class Request
    attr_reader :request_method, :fullpath, :path, :query_string, :headers
    alias path_info path

    def initialize(method, target, headers, content)
      @request_method, @fullpath, @headers, @content = method, target, Headers[headers], content
      @path, _, @query_string = target.partition('?')
    end

    def body = @body ||= StringIO.new(@content)

    # The request's method; with a name, the Ruby method, as of any object.
    def method(*name) = name.empty? ? request_method : super

    %w[get head post put patch delete options].each do |name|
      define_method(:"#{name}?") { request_method == name.upcase }
    end

    def query = @query ||= URI.decode_www_form(query_string).to_h
    def [](name) = params[name.to_s]

    # Query and form. Rack, which takes long to load, is for nested names and files.
    def params = @params ||= plain? ? query.merge(form) : wide.params

    # What else Sinatra's request has.
    def method_missing(name, ...) = wide.respond_to?(name) ? wide.public_send(name, ...) : super
    def respond_to_missing?(name, all = false) = super || wide.respond_to?(name)

    def content_type = headers['content-type']
    def content_length = headers['content-length']
    def media_type = content_type.to_s[/\A[^;\s]*/].downcase
    def charset = content_type.to_s[/;\s*charset="?([^\s;"]+)/i, 1]
    def user_agent = headers['user-agent']
    def referer = headers['referer']
    def ip = headers['x-forwarded-for'].to_s[/\A[^,\s]+/]
    def scheme = headers['x-forwarded-proto'] || 'http'
    def host = headers['host'].to_s.sub(/:\d+\z/, '')
    def url = "#{scheme}://#{headers['host']}#{fullpath}"

    def cookies
      @cookies ||= headers['cookie'].to_s.split(/;\s*/).to_h do |cookie|
        name, _, value = cookie.partition('=')
        [name, URI.decode_www_form_component(value)]
      end
    end

    # The Rack environment. A name with an underscore would become another
    # header's, Proxy the variable that HTTP clients take their proxy from.
    def env
      @env ||= headers.reject { |name, _| name.include?('_') || name == 'proxy' }.to_h { |name, value| [variable(name), value] }.merge!(
        'REQUEST_METHOD' => request_method, 'SCRIPT_NAME' => '', 'PATH_INFO' => path,
        'QUERY_STRING' => query_string, 'REQUEST_URI' => fullpath, 'SERVER_PROTOCOL' => 'HTTP/1.1',
        'SERVER_NAME' => host, 'SERVER_PORT' => headers['host'].to_s[/:(\d+)\z/, 1] || '80',
        'REMOTE_ADDR' => ip, 'rack.url_scheme' => scheme, 'rack.input' => StringIO.new(@content),
        'CONTENT_LENGTH' => @content.bytesize.to_s, 'rack.errors' => $stderr
      )
    end

    # event[:data]: parsed JSON, text in UTF-8, or bytes as a binary String.
    def data
      return +'' if @content.empty?

      kind = media_type
      return parse_json if kind == 'application/json' || kind.end_with?('+json')

      text = @content.dup.force_encoding(charset || Encoding::UTF_8)
      text.valid_encoding? ? text.encode(Encoding::UTF_8) : text.force_encoding(Encoding::BINARY)
    rescue ArgumentError, EncodingError => e
      raise BadRequest, "cannot decode the body: #{e.message}"
    end

    def inspect = "#<#{self.class} #{request_method} #{path}>"
    alias to_s inspect

    private

    def plain?
      return false if query_string.match?(/\[|%5b/i) || media_type == 'multipart/form-data'

      !form? || (@content.ascii_only? && !@content.match?(/\[|%5b/i))
    end

    def form? = media_type == 'application/x-www-form-urlencoded'
    def form = form? ? URI.decode_www_form(@content.dup.force_encoding(Encoding::UTF_8)).to_h : {}

    def wide
      @wide ||= begin
        require_relative 'sinatra_request'
        SinatraRequest.new(env)
      end
    end

    def variable(name)
      name = name.upcase.tr('-', '_')
      name.match?(/\ACONTENT_(TYPE|LENGTH)\z/) ? name : "HTTP_#{name}"
    end

    def parse_json
      text = @content.dup.force_encoding(Encoding::UTF_8)
      raise BadRequest, 'the body is not valid JSON: it is not UTF-8' unless text.valid_encoding?

      JSON.parse(text)
    rescue JSON::ParserError => e
      raise BadRequest, "the body is not valid JSON: #{e.message}"
    end
  end

  # event[:extensions][:response]: status and headers of the answer; with
  # write, the answer itself, sent part by part.
  class Response
    attr_accessor :status
    attr_reader :headers

    def initialize(socket, method)
      @socket, @method = socket, method
      @status, @headers, @started, @ended = 200, {}, false, false
    end

    def []=(name, value)
      headers[name] = value
    end

    def started? = @started

    # Sends a part of the body now; what the function returns is ignored then.
    def write(part)
      raise IOError, 'the response has ended' if @ended # and another may be on its way

      part = part.to_s.b
      head = @started ? ''.b : head(TEXT, 'Transfer-Encoding: chunked')
      @started = true
      chunk = part.empty? || bodiless? ? '' : "#{part.bytesize.to_s(16)}\r\n".b << part << "\r\n"
      @socket.write(head << chunk)
      part.bytesize
    end

    def <<(part)
      write(part)
      self
    end

    # What is still to be sent: the end of the parts, or the whole answer.
    def rest(body, type)
      if started?
        @ended = true
        return bodiless? ? '' : "0\r\n\r\n"
      end
      head = head(type, "Content-Length: #{body.bytesize}")
      @ended = true
      head << (bodiless? ? '' : body.b)
    end

    # The whole answer for an exception of that class.
    def fail(error, trace)
      @status, @ended = 500, true
      headers.clear
      head = head(TEXT, "X-Func-Error: #{error.to_s.gsub(/[^\w:]/, '-')}\r\nContent-Length: #{trace.bytesize}")
      bodiless? ? head : head << trace.b
    end

    def inspect = "#<#{self.class} #{status}>"
    alias to_s inspect

    private

    def bodiless? = @method == 'HEAD' || [204, 304].include?(@code)

    def head(type, framing)
      code = Integer(status)
      raise ArgumentError, "response.status is #{code}, not from 200 to 599" unless code.between?(200, 599)

      @code = code # what is sent, whatever becomes of status
      head = "HTTP/1.1 #{code} \r\n".b
      head << framing << "\r\n" unless [204, 304].include?(code)
      typed = false
      headers.each do |name, values|
        name = name.to_s
        next if name.match?(NOT_THE_FUNCTIONS)

        typed ||= name.casecmp?('content-type')
        Array(values).each { |value| head << field(name, value.to_s) }
      end
      head << "Content-Type: #{type}\r\n" unless typed
      head << "\r\n"
    end

    def field(name, value)
      return "#{name}: #{value}\r\n" if name.b.match?(NAME) && value.b.match?(VALUE)

      raise ArgumentError, "response header #{name.inspect} is not one line of ASCII: #{value.inspect}"
    end
  end

  # A connection of the proxy.
  class Connection
    # Whatever FUNC_WORKER_CONCURRENCY says.
    HEALTHY = "HTTP/1.1 200 OK\r\nX-Func-Concurrency: 1\r\nContent-Length: 0\r\n\r\n"

    def initialize(socket, function, context)
      @socket, @function, @context = socket, function, context
      @requests = RequestReader.new(socket)
    end

    def serve
      while (parts = @requests.next)
        request = Request.new(*parts)
        @socket.write(request.path == '/_health' ? HEALTHY : call(request, Response.new(@socket, request.request_method)))
      end
    rescue EOFError, SystemCallError, RequestReader::Malformed
      # The proxy has gone, or the next request cannot be found.
    ensure
      @socket.close
    end

    private

    # Returns what is to be sent.
    def call(request, response)
      headers = request.headers
      event = { 'event-id': headers['event-id'], 'event-type': headers['event-type'],
                'event-time': headers['event-time'], 'event-namespace': headers['event-namespace'],
                data: request.data, extensions: { request:, response: } }
      result = @function.call(event, @context.dup)
      response.rest(*encode(result))
    rescue BadRequest => e
      response.status = 400
      response.headers.clear
      response.rest("#{e.message.b}\n", TEXT)
    rescue Exception => e # SystemExit and NoMemoryError too: the worker lives on
      raise if KubelessWorker.stopping?

      failure(e, response)
    end

    # Body and type of what a function returned. Ruby has one class for text
    # and bytes: what is no UTF-8 is bytes.
    def encode(result)
      return [JSON.generate(result), 'application/json'] unless result.is_a?(String)

      body = result.encoding == Encoding::BINARY ? result.dup.force_encoding(Encoding::UTF_8) : result.encode(Encoding::UTF_8)
      [body, body.valid_encoding? ? TEXT : BYTES]
    end

    def failure(error, response)
      trace = error.full_message(highlight: false, order: :top)
      if response.started?
        warn trace
        raise EOFError # an answer that is cut off is the only sign left
      end
      response.fail(error.class, trace)
    end
  end

  class << self
    def stopping? = @stopping

    def run
      volume = setting('KUBELESS_INSTALL_VOLUME', '/kubeless')
      function = load_function(volume, setting('MOD_NAME'), setting('FUNC_HANDLER'))
      serve(UNIXServer.new(setting('FUNC_SOCKET')), function)
    end

    private

    # The methods that the file defines are main's, as in a script.
    def load_function(volume, file, name)
      $LOAD_PATH.unshift(volume)
      dependencies = File.join(volume, 'vendor/bundle/bundler/setup.rb') # bundle install --standalone
      ::Gem && require(dependencies) if File.exist?(dependencies)
      load File.join(volume, "#{file}.rb")
      function = TOPLEVEL_BINDING.receiver.method(name)
      raise NameError, "undefined method '#{name}'" if function.owner == Kernel # puts, test, …

      function
    rescue Exception => e # SystemExit too: a file that exits has not loaded
      warn e.full_message(highlight: false, order: :top)
      abort "cannot load function '#{name}' of #{file}.rb"
    end

    def serve(server, function)
      context = { 'function-name': ENV['FUNC_HANDLER'], timeout: ENV.fetch('FUNC_TIMEOUT', '180'),
                  runtime: ENV['FUNC_RUNTIME'], 'memory-limit': ENV['FUNC_MEMORY_LIMIT'] }
      trap('TERM') do
        @stopping = true
        exit # runs the function's at_exit blocks
      end
      loop do
        socket = server.accept
        socket.nonblock = false # or each read tries first, then waits, then reads
        Connection.new(socket, function, context).serve
      end
    end

    def setting(name, default = nil)
      value = ENV.fetch(name, '')
      return value unless value.empty?

      default || abort("environment variable #{name} is not set")
    end
  end
end

$stdout.sync = true
KubelessWorker.run
