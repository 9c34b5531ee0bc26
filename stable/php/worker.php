<?php

// Serves one function to the proxy, one call at a time, over HTTP/1.1 on the
// Unix socket FUNC_SOCKET.

declare(strict_types=1);

namespace Kubeless\Worker;

require __DIR__ . '/messages.php';

const TEXT = 'text/plain; charset=utf-8';
const BYTES = 'application/octet-stream';
// Headers of responses that say what the connection does, or what the worker
// tells the proxy: a function's own, passed on from another server, say, are
// left out.
const NOT_THE_FUNCTIONS = '/^(?:connection|content-length|date|keep-alive|proxy-connection|trailer|transfer-encoding|upgrade|x-func-.*)$/Dis';
const NAME = '/^[!#$%&\'*+.^_`|~0-9A-Za-z-]+$/D';
const VALUE = '/^[\t\x20-\x7e]*$/D';
const JSON = JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION;
const MAX_HEAD = 1 << 20; // bytes; the proxy's limit is a small part of it
const MAX_LINE = 1 << 16; // bytes, of a chunk's size and of trailers

/** The proxy has gone, or it is unknown where the next request begins: the connection's end. */
final class Gone extends \RuntimeException
{
}

/** The answer to one call on its way to the proxy. */
final class Answer
{
    private bool $started = false;
    private bool $ended = false;
    private int $status = 0; // as sent

    /** @param resource $connection */
    public function __construct(private $connection, private string $method) {}

    public function started(): bool { return $this->started; }

    /** Sends a part of a body without a known length. */
    public function part(int $status, array $headers, string $part): void
    {
        if ($this->ended) {
            throw new \LogicException('the response has ended'); // and another may be on its way
        }
        $head = $this->started ? '' : $this->head($status, 'Transfer-Encoding: chunked', $headers, TEXT);
        $this->started = true;
        $this->send($head . ($part === '' || $this->bodiless() ? '' : dechex(strlen($part)) . "\r\n$part\r\n"));
    }

    /** Ends the parts, or sends the whole answer in one write. */
    public function finish(int $status, array $headers, string $body, string $type): void
    {
        if ($this->started) {
            if (!$this->bodiless()) {
                $this->part($status, $headers, $body);
                $this->send("0\r\n\r\n");
            }
            $this->ended = true;
            return;
        }
        $head = $this->head($status, 'Content-Length: ' . strlen($body), $headers, $type);
        $this->ended = true;
        $this->send($head . ($this->bodiless() ? '' : $body));
    }

    /** Says that the worker is ready, and takes one call at once, whatever FUNC_WORKER_CONCURRENCY says. */
    public function healthy(): void
    {
        $this->ended = true;
        $this->send("HTTP/1.1 200 OK\r\nX-Func-Concurrency: 1\r\nContent-Length: 0\r\n\r\n");
    }

    /** Sends the failure of a call: the type of what went wrong, and its trace. */
    public function fail(string $type, string $trace, string $connection = 'keep-alive'): void
    {
        $this->ended = true;
        $framing = "X-Func-Error: $type\r\nConnection: $connection\r\nContent-Length: " . strlen($trace);
        $this->send($this->head(500, $framing, [], TEXT) . ($this->method === 'HEAD' ? '' : $trace));
    }

    private function bodiless(): bool
    {
        return $this->method === 'HEAD' || $this->status === 204 || $this->status === 304;
    }

    private function head(int $status, string $framing, array $headers, string $type): string
    {
        if ($status < 200 || $status > 599) {
            throw new \InvalidArgumentException("the response's status is $status, not from 200 to 599");
        }
        $this->status = $status;
        $head = "HTTP/1.1 $status \r\n" . ($status === 204 || $status === 304 ? '' : "$framing\r\n");
        if (!isset(array_change_key_case($headers)['content-type'])) {
            $head .= "Content-Type: $type\r\n";
        }
        foreach ($headers as $name => $values) {
            $name = (string) $name; // one of digits is an int
            if (preg_match(NOT_THE_FUNCTIONS, $name)) {
                continue;
            }
            foreach ((array) $values as $value) {
                if (!preg_match(NAME, $name) || !preg_match(VALUE, (string) $value)) {
                    throw new \InvalidArgumentException("response header $name is not one line of ASCII: $value");
                }
                $head .= "$name: $value\r\n";
            }
        }
        return "$head\r\n";
    }

    private function send(string $data): void
    {
        while ($data !== '') {
            $sent = @fwrite($this->connection, $data);
            if (!$sent) {
                throw new Gone('the proxy has closed the connection');
            }
            $data = $sent === strlen($data) ? '' : substr($data, $sent);
        }
    }
}

/** Requests from a connection of the proxy. */
final class Reader
{
    private string $buffer = ''; // what has been read and not used

    /** @param resource $connection */
    public function __construct(private $connection)
    {
        stream_set_timeout($connection, 10 * 365 * 86400);
        stream_set_chunk_size($connection, 1 << 16);
    }

    /** The next request; null when the proxy has closed the connection. */
    public function request(): ?Request
    {
        $head = $this->until("\r\n\r\n", MAX_HEAD);
        if ($head === null) {
            return null;
        }
        $lines = explode("\r\n", $head);
        $start = explode(' ', array_shift($lines));
        if (count($start) !== 3 || $start[2] !== 'HTTP/1.1') {
            throw new Gone('a line that begins no request');
        }
        $headers = [];
        foreach ($lines as $line) {
            $field = explode(':', $line, 2);
            if (count($field) !== 2 || $field[0] === '' || rtrim($field[0]) !== $field[0]) {
                throw new Gone('a line that is no header');
            }
            $headers[$lower = strtolower($field[0])][0] = $field[0];
            $headers[$lower][1][] = trim($field[1]);
        }
        return new Request($start[0], $start[1], $headers, $this->body($headers));
    }

    private function body(array $headers): string
    {
        if (isset($headers['transfer-encoding'])) {
            return $this->chunks($headers['transfer-encoding'][1]);
        }
        $lengths = $headers['content-length'][1] ?? ['0'];
        if (count($lengths) !== 1 || !preg_match('/^\d{1,15}$/D', $lengths[0])) {
            throw new Gone('a length that is no number');
        }
        return $this->exactly((int) $lengths[0]);
    }

    private function chunks(array $coding): string
    {
        if (count($coding) !== 1 || strtolower($coding[0]) !== 'chunked') {
            throw new Gone('a coding that is unknown');
        }
        $body = '';
        while (($size = $this->size()) > 0) {
            $body .= $this->exactly($size);
            if ($this->exactly(2) !== "\r\n") {
                throw new Gone('a chunk that is longer than it says');
            }
        }
        while ($this->line() !== '') {
            // trailers
        }
        return $body;
    }

    private function size(): int
    {
        return preg_match('/^([0-9a-f]{1,12})[ \t]*(;.*)?$/Di', $this->line(), $found)
            ? (int) hexdec($found[1]) : throw new Gone('a chunk without a size');
    }

    private function line(): string
    {
        return $this->until("\r\n", MAX_LINE) ?? throw new Gone('the body breaks off');
    }

    /**
     * What comes before the end, which is taken too; null if the proxy has closed the connection before.
     * A part is never returned: what follows it would be taken for the next request.
     */
    private function until(string $end, int $limit): ?string
    {
        $from = 0;
        while (($at = strpos($this->buffer, $end, $from)) === false) {
            $from = max(0, strlen($this->buffer) - strlen($end) + 1);
            $part = $from > $limit ? '' : fread($this->connection, 1 << 16);
            if ($part === '' || $part === false) {
                return $this->buffer === '' ? null : throw new Gone('it breaks off, or has no end');
            }
            $this->buffer .= $part;
        }
        $found = substr($this->buffer, 0, $at);
        $this->buffer = substr($this->buffer, $at + strlen($end));
        return $found;
    }

    /** So many bytes; memory follows what has come, not what a client says will. */
    private function exactly(int $length): string
    {
        while (strlen($this->buffer) < $length) {
            // As much as PHP's own buffer holds, always: with something left in that, the
            // next read takes it and then waits for more.
            $part = fread($this->connection, 1 << 16);
            if ($part === '' || $part === false) {
                throw new Gone('the body breaks off');
            }
            $this->buffer .= $part;
        }
        $found = substr($this->buffer, 0, $length);
        $this->buffer = substr($this->buffer, $length);
        return $found;
    }
}

/** Loads the function and serves its calls. */
final class Worker
{
    private static string $doing = 'loading';
    /** @var resource|null */
    private static $listener = null;
    private static ?Answer $answer = null; // to the call that runs

    /** Returns the function's file. */
    public static function prepare(): string
    {
        register_shutdown_function(self::ended(...));
        $volume = getenv('KUBELESS_INSTALL_VOLUME') ?: '/kubeless';
        chdir($volume);
        if (is_file("$volume/vendor/autoload.php")) {
            require_once "$volume/vendor/autoload.php";
        }
        return "$volume/" . self::setting('MOD_NAME') . '.php';
    }

    public static function fail(string $message): never
    {
        fwrite(STDERR, "$message\ncannot load function '" . getenv('FUNC_HANDLER') . "' of " . getenv('MOD_NAME') . ".php\n");
        self::$doing = 'nothing';
        exit(1);
    }

    public static function serve(): never
    {
        $function = self::setting('FUNC_HANDLER');
        if (!function_exists($function) || (new \ReflectionFunction($function))->isInternal()) {
            self::fail("undefined function '$function'");
        }
        self::$listener = stream_socket_server('unix://' . self::setting('FUNC_SOCKET'), $code, $message);
        if (self::$listener === false) {
            self::fail("listening on FUNC_SOCKET: $message");
        }
        self::$doing = 'nothing';
        $server = $_SERVER;
        while (true) {
            $connection = @stream_socket_accept(self::$listener, -1);
            if ($connection === false) {
                continue;
            }
            try {
                self::converse($connection, $function, $server);
            } catch (Gone) {
                // The next connection is another call's.
            }
            fclose($connection);
        }
    }

    /** @param resource $connection */
    private static function converse($connection, string $function, array $server): void
    {
        $reader = new Reader($connection);
        while ($request = $reader->request()) {
            $answer = new Answer($connection, $request->getMethod());
            if (str_starts_with($request->getRequestTarget(), '/_health')) {
                $answer->healthy();
                continue;
            }
            self::call($function, $request, $answer, $server);
        }
    }

    private static function call(string $function, Request $request, Answer $answer, array $server): void
    {
        try {
            $event = self::event($request, $answer);
            $request->publish($server);
            [self::$doing, self::$answer] = ['calling', $answer];
            $answer->finish(...self::outcome($function($event, self::context()), $event));
        } catch (BadRequest $e) {
            $answer->finish(400, [], $e->getMessage() . "\n", TEXT);
        } catch (Gone $e) {
            throw $e;
        } catch (\Throwable $e) {
            if ($answer->started()) {
                fwrite(STDERR, "$e\n");
                throw new Gone('an answer that is cut off is the only sign left');
            }
            $answer->fail(preg_replace('/[^\w\\\\]+/', '-', $e::class), "$e\n");
        } finally {
            [self::$doing, self::$answer] = ['nothing', null];
            set_time_limit(0); // the function's own limit was for this call
            while (ob_get_level() > 0) {
                ob_end_flush();
            }
        }
    }

    private static function event(Request $request, Answer $answer): object
    {
        $event = ['data' => $request->data()];
        foreach (['event-id', 'event-type', 'event-time', 'event-namespace'] as $name) {
            $event[$name] = $request->getHeader($name)[0] ?? null;
        }
        return (object) ($event + ['extensions' => (object) ['request' => $request, 'response' => new Response($answer)]]);
    }

    private static function context(): object
    {
        return (object) [
            'function-name' => getenv('FUNC_HANDLER'),
            'timeout' => getenv('FUNC_TIMEOUT') ?: '180',
            'runtime' => getenv('FUNC_RUNTIME'),
            'memory-limit' => getenv('FUNC_MEMORY_LIMIT'),
        ];
    }

    /** The arguments of Answer::finish for what a function returned and did to the response. */
    private static function outcome(mixed $result, object $event): array
    {
        $whole = $result instanceof Response || $result instanceof \Psr\Http\Message\ResponseInterface;
        $response = $whole ? $result : $event->extensions->response;
        $body = $response instanceof Response ? $response->getBody()->getContents() : (string) $response->getBody();
        $type = null;
        if (is_string($result)) {
            $body .= $result;
        } elseif (!$whole && ($result !== null || ($body === '' && $response->getStatusCode() === 200))) {
            [$body, $type] = [$body . json_encode($result, JSON), 'application/json'];
        }
        return [$response->getStatusCode(), $response->getHeaders(), $body, $type ?? (preg_match('//u', $body) ? TEXT : BYTES)];
    }

    /** Says in the log why the process ends; PHP itself reports fatal errors. */
    private static function ended(): void
    {
        if (self::$doing === 'nothing') {
            return;
        }
        $why = 'the process ended while ' . self::$doing . " the function: exit, die or a fatal error\n";
        if (self::$doing === 'loading' || self::$answer->started()) {
            fwrite(STDERR, $why);
            exit(1);
        }
        // Nothing comes back from an exit. No other call comes in, this one
        // gets its answer, and the proxy starts another worker.
        fclose(self::$listener);
        ini_set('memory_limit', '-1');
        self::$answer->fail('exit', $why, 'close');
    }

    private static function setting(string $name): string
    {
        return getenv($name) ?: self::fail("environment variable $name is not set");
    }
}

// Here and not in a method: variables of the function's file are global ones.
try {
    require Worker::prepare();
} catch (\Throwable $e) {
    Worker::fail((string) $e);
}
Worker::serve();
