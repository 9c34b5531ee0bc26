# frozen_string_literal: true

require 'rack' # the function's own, if it brings one

module KubelessWorker
  # Rack's request, with what Sinatra adds to it.
  class SinatraRequest < Rack::Request
    # A type of the header Accept, with its weight; a String as far as it goes.
    class AcceptEntry
      attr_reader :params, :entry, :q

      def initialize(entry, place)
        @entry, *params = entry.split(';').map(&:strip)
        @params = params.to_h { |param| param.split('=', 2) }
        @q = @params.delete('q')&.to_f || 1.0
        @place = place
      end

      # The better one is first, in the order of sort.
      def <=>(other) = other.priority <=> priority
      def priority = [q, -entry.count('*'), params.size, -@place]
      def to_s(full = false) = full ? [entry, *params.map { |name, value| "#{name}=#{value}" }].join(';') : entry
      def to_str = entry
      def ==(other) = other.to_s == entry
    end

    def accept
      env['HTTP_ACCEPT'].to_s.split(',').each_with_index.map { |entry, place| AcceptEntry.new(entry, place) }.sort
    end

    def accept?(type) = preferred_type(type).to_s.include?(type)

    def preferred_type(*types)
      types = types.flatten
      return types.first || accept.first if env['HTTP_ACCEPT'].to_s.empty?
      return accept.first if types.empty?

      accept.select { |entry| entry.q.positive? }.each do |entry|
        found = types.find { |type| File.fnmatch(entry.entry, type.to_s) }
        return found if found
      end
      nil
    end

    def forwarded? = env.key?('HTTP_X_FORWARDED_HOST')
    def secure? = ssl?
    def safe? = get? || head? || options? || trace?
    def idempotent? = safe? || put? || delete? || link? || unlink?
    def link? = request_method == 'LINK'
    def unlink? = request_method == 'UNLINK'
  end
end
