# frozen_string_literal: true

module KubelessWorker
  # Reads requests as the proxy writes them.
  class RequestReader
    MAX_HEAD = 1 << 20 # bytes; the proxy's limit is a small part of it
    MAX_LINE = 1 << 16 # bytes, of a chunk's size and of trailers
    PIECE = 1 << 20 # bytes, of a large body

    # It is unknown where the next request begins: the connection's end.
    class Malformed < StandardError; end

    def initialize(socket)
      @socket = socket
    end

    # Method, target, headers by names in lower case, and body; nil at the end of the
    # connection. Nothing of a head is used before its end has come: what follows a
    # part of one would be taken for the next request.
    def next
      head = @socket.gets("\r\n\r\n", MAX_HEAD) or return
      raise Malformed unless head.end_with?("\r\n\r\n")

      line, *fields = head.split("\r\n")
      method, target, version = line.split(' ', 3)
      raise Malformed unless version == 'HTTP/1.1'

      headers = {}
      fields.each do |field|
        name, value = field.split(':', 2)
        raise Malformed if value.nil? || name.empty? || name.end_with?(' ', "\t")

        name.downcase!
        value.strip!
        headers[name] = headers.key?(name) ? "#{headers[name]}, #{value}" : value
      end
      [method, target, headers, read_body(headers)]
    end

    private

    def read_body(headers)
      return read_chunks(headers['transfer-encoding']) if headers.key?('transfer-encoding')

      length = headers['content-length'] or return ''.b
      raise Malformed unless length.match?(/\A\d{1,15}\z/)

      read_exactly(length.to_i)
    end

    def read_chunks(coding)
      raise Malformed unless coding.casecmp?('chunked')

      body = ''.b
      while (size = read_size).positive?
        body << read_exactly(size)
        raise Malformed unless read_line == "\r\n"
      end
      nil until read_line == "\r\n" # trailers
      body
    end

    def read_size
      size = read_line[/\A(\h{1,12})[ \t]*(;.*)?\r\n\z/, 1] or raise Malformed
      size.hex
    end

    def read_line
      line = @socket.gets("\r\n", MAX_LINE)
      line&.end_with?("\r\n") ? line : raise(Malformed)
    end

    # Memory follows what has come, not what a client says will.
    def read_exactly(size)
      return read_piece(size) if size <= PIECE

      data = ''.b
      while (missing = size - data.bytesize).positive?
        data << read_piece([missing, PIECE].min)
      end
      data
    end

    def read_piece(size)
      piece = @socket.read(size)
      piece&.bytesize == size ? piece : raise(EOFError)
    end
  end
end
