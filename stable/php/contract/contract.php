<?php

// Does what its data says: the contract suite calls it.

function handler($event, $context)
{
    $data = $event->data;
    if ($data === '') {
        return 'hello world';
    }
    if (!is_object($data) || !isset($data->do)) {
        return $data;
    }
    $request = $event->extensions->request;
    return match ($data->do) {
        'echo' => $data->value,
        'event' => array_diff_key((array) $event, ['data' => true, 'extensions' => true]),
        'context' => $context,
        'request' => [
            'method' => $request->getMethod(),
            'path' => $request->getUri()->getPath(),
            'header' => $request->getHeaderLine('X-Contract'),
        ],
        'status' => $event->extensions->response->withStatus($data->code)->withHeader('X-Contract', 'set')->write('teapot'),
        'header' => $event->extensions->response->withHeader($data->name, $data->text)->write('framed'),
        'stream' => stream($event->extensions->response, $data->parts, $data->seconds),
        'sleep' => pause($data->seconds),
        'spin' => spin(),
        'fail' => throw new Exception('contract: failing on purpose'),
        'exit' => leave(),
        'crash' => posix_kill(getmypid(), SIGKILL),
        'big' => str_repeat('x', $data->bytes),
        'bytes' => implode(array_map(chr(...), range(0, 255))),
        'print' => say($data->text),
        'flood' => flood($data->bytes),
        'write' => @file_put_contents($data->path, "contract\n") === false ? 'refused' : 'written',
        default => throw new Exception("contract: no idea how to $data->do"),
    };
}

function stream($response, $parts, $seconds)
{
    for ($part = 0; $part < $parts; $part++) {
        $part === 0 || pause($seconds);
        $response->write("part $part\n")->flush();
    }
    return $response;
}

function pause($seconds)
{
    usleep((int) ($seconds * 1e6));
    return 'slept';
}

function spin()
{
    while (true) {
    }
}

function leave()
{
    exit(3);
}

function say($text)
{
    echo "$text\n";
    return 'printed';
}

function flood($bytes)
{
    $line = str_repeat('x', 1000) . "\n";
    for ($left = $bytes; $left > 0; $left -= strlen($line)) {
        echo $line;
    }
    return 'flooded';
}
