<?php

// Serves one function to the proxy, one call at a time, over HTTP/1.1 on the
// Unix socket FUNC_SOCKET.

declare(strict_types=1);

namespace Kubeless\Worker;

require __DIR__ . '/messages.php';

const TEXT = 'text/plain; charset=utf-8';
const BYTES = 'application/octet-stream';
const JSON = JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION;
const MAX_LINE = 1 << 20; // bytes, of the head too

/** The proxy has gone. */
final class Gone extends \RuntimeException
{
}

/** The answer to one call on its way to the proxy. */
final class Answer
{
    private bool $started = false;

    /** @param resource $connection */
    public function __construct(private $connection, private string $method) {}

    public function started(): bool { return $this->started; }

    /** Sends a part of a body without a known length. */
    public function part(int $status, array $headers, string $part): void
    {
        $head = $this->started ? '' : $this->head($status, ['Transfer-Encoding' => ['chunked']] + self::own($headers), TEXT);
        $this->started = true;
        $this->send($head . ($part === '' || $this->bodiless($status) ? '' : dechex(strlen($part)) . "\r\n$part\r\n"));
    }

    /** Ends the parts, or sends the whole answer in one write. */
    public function finish(int $status, array $headers, string $body, string $type): void
    {
        if ($this->started) {
            if (!$this->bodiless($status)) {
                $this->part($status, $headers, $body);
                $this->send("0\r\n\r\n");
            }
            return;
        }
        $headers = self::own($headers);
        if ($status !== 204 && $status !== 304) {
            $headers['Content-Length'] = [strlen($body)];
        }
        $this->send($this->head($status, $headers, $type) . ($this->bodiless($status) ? '' : $body));
    }

    /** Sends a failure as the connection's last answer. */
    public function last(string $body): void
    {
        $headers = ['X-Func-Error' => ['exit'], 'Connection' => ['close'], 'Content-Length' => [strlen($body)]];
        $this->send($this->head(500, $headers, TEXT) . ($this->method === 'HEAD' ? '' : $body));
    }

    /** Without those that say how long the body is: another server's, passed on, would be wrong. */
    private static function own(array $headers): array
    {
        $framing = ['content-length', 'transfer-encoding', 'connection'];
        return array_filter($headers, fn($name) => !in_array(strtolower((string) $name), $framing, true), ARRAY_FILTER_USE_KEY);
    }

    private function bodiless(int $status): bool
    {
        return $this->method === 'HEAD' || $status === 204 || $status === 304;
    }

    private function head(int $status, array $headers, string $type): string
    {
        $head = "HTTP/1.1 $status \r\n";
        if (!isset(array_change_key_case($headers)['content-type'])) {
            $head .= "Content-Type: $type\r\n";
        }
        foreach ($headers as $name => $values) {
            foreach ($values as $value) {
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
    /** @param resource $connection */
    public function __construct(private $connection) { stream_set_timeout($connection, 10 * 365 * 86400); }

    /** The next request; null when the proxy has closed the connection. */
    public function request(): ?Request
    {
        $head = stream_get_line($this->connection, MAX_LINE, "\r\n\r\n");
        if ($head === false || $head === '') {
            return null;
        }
        $lines = explode("\r\n", $head);
        [$method, $target] = explode(' ', array_shift($lines));
        $headers = [];
        foreach ($lines as $line) {
            [$name, $value] = explode(':', $line, 2);
            $headers[$lower = strtolower($name)][0] = $name;
            $headers[$lower][1][] = trim($value);
        }
        return new Request($method, $target, $headers, $this->body($headers));
    }

    private function body(array $headers): string
    {
        if (!isset($headers['transfer-encoding'])) {
            $length = (int) ($headers['content-length'][1][0] ?? 0);
            return $length === 0 ? '' : $this->exactly($length);
        }
        $body = '';
        while (($size = (int) hexdec($this->line())) > 0) {
            $body .= $this->exactly($size);
            $this->line();
        }
        while ($this->line() !== '') {
            // trailers
        }
        return $body;
    }

    private function line(): string
    {
        $line = fgets($this->connection, MAX_LINE);
        return $line === false ? throw new Gone('the body breaks off') : rtrim($line, "\r\n");
    }

    private function exactly(int $length): string
    {
        $data = stream_get_contents($this->connection, $length);
        return $data !== false && strlen($data) === $length ? $data : throw new Gone('the body breaks off');
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
                $answer->finish(200, [], 'OK', TEXT);
                continue;
            }
            $answer->finish(...self::call($function, $request, $answer, $server));
        }
    }

    /** Returns the arguments of Answer::finish. */
    private static function call(string $function, Request $request, Answer $answer, array $server): array
    {
        try {
            $event = self::event($request, $answer);
            $request->publish($server);
            [self::$doing, self::$answer] = ['calling', $answer];
            return self::outcome($function($event, self::context()), $event);
        } catch (BadRequest $e) {
            return [400, [], $e->getMessage() . "\n", TEXT];
        } catch (\Throwable $e) {
            if ($answer->started()) {
                fwrite(STDERR, "$e\n");
                throw new Gone('an answer that is cut off is the only sign left');
            }
            return [500, ['X-Func-Error' => [preg_replace('/[^\w\\\\]+/', '-', $e::class)]], "$e\n", TEXT];
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
        self::$answer->last($why);
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
