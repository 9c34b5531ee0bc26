<?php

// Forms with files (RFC 7578), for $event->extensions->request.

declare(strict_types=1);

namespace Kubeless\Worker;

/** A file of a form, with the methods of PSR-7's UploadedFileInterface. */
final class UploadedFile
{
    private bool $moved = false;

    public function __construct(private string $content, private string $name, private ?string $type) {}
    public function getStream(): Stream { return $this->moved ? throw new \RuntimeException('the file has been moved') : new Stream($this->content); }
    public function getSize(): ?int { return strlen($this->content); }
    public function getError(): int { return UPLOAD_ERR_OK; }
    public function getClientFilename(): ?string { return $this->name; }
    public function getClientMediaType(): ?string { return $this->type; }

    public function moveTo(string $path): void
    {
        if ($this->moved || @file_put_contents($path, $this->content) === false) {
            throw new \RuntimeException($this->moved ? 'the file has been moved' : "cannot write $path");
        }
        $this->moved = true;
    }
}

/**
 * Fields and files of a multipart/form-data body; nested names (a[b]) as parse_str has them.
 *
 * @return array{fields: array, files: array}
 */
function parse_form(string $body, string $type): array
{
    $form = ['fields' => [], 'files' => []];
    if (!preg_match('/;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i', $type, $found)) {
        return $form;
    }
    $parts = explode("\r\n--" . ($found[1] ?: $found[2]), "\r\n$body");
    array_shift($parts); // before the first
    $names = ['fields' => [], 'files' => []];
    $values = [];
    foreach ($parts as $part) {
        if (str_starts_with($part, '--') || !str_contains($part, "\r\n\r\n")) {
            break; // the end
        }
        [$head, $content] = explode("\r\n\r\n", $part, 2);
        if (!preg_match('/^content-disposition:[^\r]*?;\s*name="([^"\r]*)"/im', $head, $name)) {
            continue;
        }
        $file = preg_match('/^content-disposition:[^\r]*?;\s*filename="((?:[^"\\\\\r]|\\\\.)*)"/im', $head, $filename);
        $kind = preg_match('/^content-type:\s*([^\r]+)/im', $head, $media) ? trim($media[1]) : null;
        $values[] = $file ? new UploadedFile($content, stripslashes($filename[1]), $kind) : $content;
        $names[$file ? 'files' : 'fields'][] = rawurlencode($name[1]) . '=' . (count($values) - 1);
    }
    foreach ($names as $which => $pairs) {
        // parse_str knows nested names; it gets places, which are values then.
        parse_str(str_replace(['%5B', '%5D'], ['[', ']'], implode('&', $pairs)), $form[$which]);
        array_walk_recursive($form[$which], function (&$place) use ($values) {
            $place = $values[(int) $place];
        });
    }
    return $form;
}
