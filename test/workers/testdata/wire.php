<?php

// Answers as the header Event-Type says; without it, with the Event-Id.

function handler($event, $context)
{
    if ($event->{'event-id'} === 'sum') {
        return 'sum ' . hash('sha256', $event->data);
    }
    if ($event->{'event-type'} === null) {
        return "id {$event->{'event-id'}}";
    }
    $order = json_decode($event->{'event-type'}, flags: JSON_THROW_ON_ERROR);
    $response = $event->extensions->response;
    $body = $order->body ?? 'hello';
    if (isset($order->status)) {
        $response = $response->withStatus($order->status);
    }
    foreach ($order->headers ?? [] as [$name, $value]) {
        $response = $response->withHeader($name, $value);
    }
    $event->extensions->response = $response;
    return match ($order->kind) {
        'text' => $body,
        'request' => about($event->extensions->request),
        'environment' => $_SERVER + ['getenv' => getenv('HTTP_PROXY')],
        'json' => [$body],
        'response' => $response->write($body),
        'changes' => $response->write($body)->flush()->withStatus(204),
        'keep' => ($GLOBALS['kept'] = $response) ? $body : '',
        'late' => $GLOBALS['kept']->write('for another call')->flush() ? $body : '',
        'stream' => $response->write($body)->flush()->write($body)->flush(),
    };
}

function about($request)
{
    $file = $request->getUploadedFiles()['file'];
    $changed = $request->withMethod('PUT')->withRequestTarget('/x')->withProtocolVersion('2')->withCookieParams(['e' => 'f'])
        ->withUri($request->getUri()->withScheme('http')->withHost('h')->withPort(8)->withPath('/p')->withQuery('q=1')->withFragment('f'))
        ->withParsedBody('new')->withUploadedFiles([])->withQueryParams(['a' => 'b'])->withAttribute('name', 'value')->withoutAttribute('name');
    return [
        'method' => $request->getMethod(), 'target' => $request->getRequestTarget(), 'uri' => (string) $request->getUri(),
        'authority' => $request->getUri()->getAuthority(), 'port' => $request->getUri()->getPort(), 'query' => $request->getQueryParams(),
        'body' => $request->getParsedBody(), 'cookies' => $request->getCookieParams(), 'header' => $request->getHeaderLine('accept'),
        'file' => [$file->getClientFilename(), $file->getClientMediaType(), $file->getSize(), $file->getError(), strlen($file->getStream()->getContents())],
        'attribute' => [$request->withAttribute('name', 'value')->getAttribute('name'), $request->getAttribute('name')],
        'with' => [$changed->getMethod(), $changed->getRequestTarget(), $changed->getProtocolVersion(), (string) $changed->getUri(),
            $changed->getHeaderLine('Host'), http_build_query($changed->getCookieParams()), $changed->getParsedBody(), $changed->getUploadedFiles()],
        'unchanged' => [$request->getMethod(), $request->getProtocolVersion(), $request->getBody()->getSize()], 'post' => $_POST,
    ];
}
