<?php

// What functions see as $event->extensions->request and ->response: objects
// with the methods of PSR-7, without its interfaces, which a function's own
// dependencies may bring along.

declare(strict_types=1);

namespace Kubeless\Worker;

require __DIR__ . '/uploads.php';

/** The request cannot become an event; the message is the answer. */
final class BadRequest extends \RuntimeException
{
}

/** A body in memory, with the methods of PSR-7's StreamInterface. */
final class Stream
{
    private int $offset = 0;

    public function __construct(private string $content = '') {}
    public function __toString(): string { return $this->content; }
    public function getSize(): int { return strlen($this->content); }
    public function tell(): int { return $this->offset; }
    public function eof(): bool { return $this->offset >= strlen($this->content); }
    public function isReadable(): bool { return true; }
    public function isSeekable(): bool { return true; }
    public function isWritable(): bool { return true; }
    public function rewind(): void { $this->offset = 0; }
    public function close(): void { $this->content = ''; }
    public function detach(): mixed { return null; }
    public function getMetadata(?string $key = null): mixed { return $key === null ? [] : null; }
    public function getContents(): string { return $this->read(PHP_INT_MAX); }

    public function read(int $length): string
    {
        $part = substr($this->content, $this->offset, $length);
        $this->offset += strlen($part);
        return $part;
    }

    public function seek(int $offset, int $whence = SEEK_SET): void
    {
        $from = [SEEK_SET => 0, SEEK_CUR => $this->offset, SEEK_END => strlen($this->content)];
        $this->offset = max(0, $from[$whence] + $offset);
    }

    /** Appends: bodies are only ever written to their end. */
    public function write(string $part): int
    {
        $this->content .= $part;
        return strlen($part);
    }
}

/** What requests and responses share: headers in any case, and a body. */
trait Message
{
    /** @var array<string, array{string, list<string>}> name as sent and values, by the name in lower case */
    private array $headers = [];
    private Stream $body;

    private string $protocol = '1.1';

    public function getProtocolVersion(): string { return $this->protocol; }
    public function withProtocolVersion(string $version): static { return $this->with('protocol', $version); }
    public function getBody(): Stream { return $this->body; }
    public function getHeaders(): array { return array_column($this->headers, 1, 0); }
    public function hasHeader(string $name): bool { return isset($this->headers[strtolower($name)]); }
    public function getHeader(string $name): array { return $this->headers[strtolower($name)][1] ?? []; }
    public function getHeaderLine(string $name): string { return implode(', ', $this->getHeader($name)); }

    public function withHeader(string $name, string|int|array $value): static
    {
        $values = array_map(strval(...), (array) $value);
        if (!preg_match(NAME, $name) || !preg_match(VALUE, implode($values))) {
            throw new \InvalidArgumentException("header $name is not one line of ASCII: " . implode(', ', $values));
        }
        return $this->with('headers', [strtolower($name) => [$name, $values]] + $this->headers);
    }

    public function withAddedHeader(string $name, string|int|array $value): static
    {
        return $this->withHeader($name, [...$this->getHeader($name), ...(array) $value]);
    }

    public function withoutHeader(string $name): static
    {
        return $this->with('headers', array_diff_key($this->headers, [strtolower($name) => true]));
    }

    public function withBody(mixed $body): static { return $this->with('body', new Stream((string) $body)); }

    private function with(string $property, mixed $value): static
    {
        $copy = clone $this;
        $copy->$property = $value;
        return $copy;
    }
}

/** $event->extensions->request->getUri(), with the methods of PSR-7's UriInterface. */
final class Uri
{
    private string $userInfo = '';
    private ?int $port;
    private string $path;
    private string $query;
    private string $fragment = '';

    public function __construct(private string $scheme, private string $host, string $target)
    {
        $this->port = preg_match('/:(\d+)$/', $host, $found) ? (int) $found[1] : null;
        $this->host = preg_replace('/:\d*$/', '', $host);
        [$this->path, $this->query] = explode('?', $target, 2) + [1 => ''];
    }

    public function getScheme(): string { return $this->scheme; }
    public function getUserInfo(): string { return $this->userInfo; }
    public function getHost(): string { return $this->host; }
    public function getPort(): ?int { return $this->port === (['http' => 80, 'https' => 443][$this->scheme] ?? 0) ? null : $this->port; }
    public function getPath(): string { return $this->path; }
    public function getQuery(): string { return $this->query; }
    public function getFragment(): string { return $this->fragment; }
    public function withScheme(string $scheme): static { return $this->with('scheme', strtolower($scheme)); }
    public function withHost(string $host): static { return $this->with('host', $host); }
    public function withPort(?int $port): static { return $this->with('port', $port); }
    public function withPath(string $path): static { return $this->with('path', $path); }
    public function withQuery(string $query): static { return $this->with('query', ltrim($query, '?')); }
    public function withFragment(string $fragment): static { return $this->with('fragment', ltrim($fragment, '#')); }

    public function withUserInfo(string $user, ?string $password = null): static
    {
        return $this->with('userInfo', $password === null ? $user : "$user:$password");
    }

    public function getAuthority(): string
    {
        $port = $this->getPort() === null ? '' : ":$this->port";
        return ($this->userInfo === '' ? '' : "$this->userInfo@") . $this->host . $port;
    }

    public function __toString(): string
    {
        return ($this->scheme === '' ? '' : "$this->scheme:") . ($this->getAuthority() === '' ? '' : '//' . $this->getAuthority())
            . $this->path . ($this->query === '' ? '' : "?$this->query") . ($this->fragment === '' ? '' : "#$this->fragment");
    }

    private function with(string $property, mixed $value): static
    {
        $copy = clone $this;
        $copy->$property = $value;
        return $copy;
    }
}

/** $event->extensions->request, with the methods of PSR-7's ServerRequestInterface and some of Slim's. */
final class Request
{
    use Message;

    private array $attributes = [];
    private array $replaced = []; // what with… methods have set, by the name of its getter
    private ?array $form = null; // fields and files of multipart/form-data

    public function __construct(private string $method, private string $target, array $headers, string $body)
    {
        $this->headers = $headers;
        $this->body = new Stream($body);
    }

    public function getMethod(): string { return $this->method; }
    public function isMethod(string $method): bool { return $this->method === strtoupper($method); }
    public function isGet(): bool { return $this->isMethod('GET'); }
    public function isPost(): bool { return $this->isMethod('POST'); }
    public function isPut(): bool { return $this->isMethod('PUT'); }
    public function isDelete(): bool { return $this->isMethod('DELETE'); }
    public function getRequestTarget(): string { return $this->target; }
    public function getAttributes(): array { return $this->attributes; }
    public function getAttribute(string $name, mixed $default = null): mixed { return $this->attributes[$name] ?? $default; }
    public function withAttribute(string $name, mixed $value): static { return $this->with('attributes', [$name => $value] + $this->attributes); }
    public function withoutAttribute(string $name): static { return $this->with('attributes', array_diff_key($this->attributes, [$name => true])); }
    public function withMethod(string $method): static { return $this->with('method', $method); }
    public function withRequestTarget(string $target): static { return $this->with('target', $target); }
    public function withQueryParams(array $query): static { return $this->replace('query', $query); }
    public function withCookieParams(array $cookies): static { return $this->replace('cookies', $cookies); }
    public function withParsedBody(mixed $data): static { return $this->replace('body', $data); }
    public function withUploadedFiles(array $files): static { return $this->replace('files', $files); }
    public function getUploadedFiles(): array { return $this->replaced['files'] ?? $this->form()['files']; }
    public function getServerParams(): array { return $_SERVER; }
    public function getQueryParam(string $name, mixed $default = null): mixed { return $this->getQueryParams()[$name] ?? $default; }
    public function getParsedBodyParam(string $name, mixed $default = null): mixed { return $this->getParsedBody()[$name] ?? $default; }
    public function getParams(): array { return (array) $this->getParsedBody() + $this->getQueryParams(); }
    public function getParam(string $name, mixed $default = null): mixed { return $this->getParams()[$name] ?? $default; }
    public function getContentType(): ?string { return $this->getHeader('Content-Type')[0] ?? null; }
    public function getMediaType(): string { return strtolower(trim(explode(';', $this->getContentType() ?? '', 2)[0])); }

    private function replace(string $what, mixed $value): static
    {
        return $this->with('replaced', [$what => $value] + $this->replaced);
    }

    public function withUri(object $uri, bool $preserveHost = false): static
    {
        $request = $this->replace('uri', $uri);
        return $preserveHost && $this->hasHeader('Host') || $uri->getHost() === '' ? $request : $request->withHeader('Host', $uri->getAuthority());
    }

    public function getUri(): object
    {
        return $this->replaced['uri'] ?? new Uri($this->getHeaderLine('X-Forwarded-Proto') ?: 'http', $this->getHeaderLine('Host'), $this->target);
    }

    public function getQueryParams(): array
    {
        if (isset($this->replaced['query'])) {
            return $this->replaced['query'];
        }
        parse_str(explode('?', $this->target, 2)[1] ?? '', $query);
        return $query;
    }

    public function getCookieParams(): array
    {
        if (isset($this->replaced['cookies'])) {
            return $this->replaced['cookies'];
        }
        parse_str(strtr($this->getHeaderLine('Cookie'), ['; ' => '&', ';' => '&', '&' => '%26', '+' => '%2B']), $cookies);
        return $cookies;
    }

    /** Fields of a form, or parsed JSON with objects as arrays. */
    public function getParsedBody(): mixed
    {
        if (array_key_exists('body', $this->replaced)) {
            return $this->replaced['body'];
        }
        if ($this->isJson()) {
            return json_decode((string) $this->body, true);
        }
        if ($this->getMediaType() === 'multipart/form-data') {
            return $this->form()['fields'];
        }
        if ($this->getMediaType() !== 'application/x-www-form-urlencoded') {
            return null;
        }
        parse_str((string) $this->body, $form);
        return $form;
    }

    public function isJson(): bool
    {
        return $this->getMediaType() === 'application/json' || str_ends_with($this->getMediaType(), '+json');
    }

    private function form(): array
    {
        return $this->form ??= $this->getMediaType() === 'multipart/form-data'
            ? parse_form((string) $this->body, (string) $this->getContentType()) : ['fields' => [], 'files' => []];
    }

    /** $event->data: parsed JSON with objects as objects, otherwise the body as it is. */
    public function data(): mixed
    {
        $body = (string) $this->body;
        try {
            return $body !== '' && $this->isJson() ? json_decode($body, flags: JSON_THROW_ON_ERROR) : $body;
        } catch (\JsonException $e) {
            throw new BadRequest("the body is not valid JSON: {$e->getMessage()}");
        }
    }

    /** Sets the superglobals as for a script of a web server. */
    public function publish(array $server): void
    {
        $_GET = $this->getQueryParams();
        $_POST = $this->isPost() && !$this->isJson() ? (array) $this->getParsedBody() : [];
        $_COOKIE = $this->hasHeader('Cookie') ? $this->getCookieParams() : [];
        $_FILES = []; // see getUploadedFiles
        $_REQUEST = $_POST + $_GET;
        $server['REQUEST_METHOD'] = $this->method;
        $server['REQUEST_URI'] = $this->target;
        $server['QUERY_STRING'] = explode('?', $this->target, 2)[1] ?? '';
        $server['SERVER_PROTOCOL'] = 'HTTP/1.1';
        $server['REMOTE_ADDR'] = trim(explode(',', $this->getHeaderLine('X-Forwarded-For'))[0]);
        foreach ($this->headers as $name => [, $values]) {
            // A name with an underscore would become another header's, Proxy
            // the variable that HTTP clients take their proxy from.
            if ($name === 'proxy' || str_contains((string) $name, '_')) {
                continue;
            }
            $server['HTTP_' . strtoupper(strtr((string) $name, '-', '_'))] = implode(', ', $values);
        }
        $server['CONTENT_TYPE'] = $this->getContentType() ?? '';
        $server['CONTENT_LENGTH'] = (string) $this->body->getSize();
        $_SERVER = $server;
    }
}

/** $event->extensions->response, with the methods of PSR-7's ResponseInterface and some of Slim's. */
final class Response
{
    use Message;

    private int $status = 200;
    private string $reason = '';

    public function __construct(private Answer $answer) { $this->body = new Stream(); }
    public function getStatusCode(): int { return $this->status; }
    public function getReasonPhrase(): string { return $this->reason; }
    public function withStatus(int $code, string $reason = ''): static { return $this->with('status', $code)->with('reason', $reason); }

    public function withJson(mixed $data, ?int $status = null): static
    {
        return $this->withStatus($status ?? $this->status)->withHeader('Content-Type', 'application/json')
            ->withBody(json_encode($data, JSON));
    }

    public function write(string $part): static
    {
        $this->body->write($part);
        return $this;
    }

    /** Sends what has been written to the body, now. */
    public function flush(): static
    {
        $this->answer->part($this->status, $this->getHeaders(), $this->body->getContents());
        return $this;
    }
}
