"""Reads requests as the proxy writes them."""

import functools
import io
import re

MAX_HEAD = 1 << 20  # bytes; the proxy's limit is a small part of it
MAX_LINE = 1 << 16  # bytes, of a chunk's size and of trailers
PIECE = 1 << 20  # bytes, of a large body
DECIMAL, HEXADECIMAL = re.compile("[0-9]{1,15}").fullmatch, re.compile("[0-9A-Fa-f]{1,12}").fullmatch


@functools.lru_cache(256)
def canonical(name):
    return "-".join(map(str.capitalize, name.split("-")))


def read_request(stream):
    """Method, target, headers and body of the next request, or None at the end of the connection.

    Nothing of a head is used before its end has come, and what is not as the
    proxy writes it ends the connection, by an EOFError or a ValueError: what
    follows would be taken for the next request.
    """
    if not (line := stream.readline(MAX_HEAD)):
        return None
    method, target, version = line.decode("utf-8", "surrogateescape").split(" ")
    if version != "HTTP/1.1\r\n":
        raise ValueError
    size, lines, headers = 0, [], {}
    while (line := stream.readline(MAX_HEAD)) != b"\r\n":
        size += len(line)
        if size > MAX_HEAD or not line.endswith(b"\r\n"):
            raise EOFError
        lines.append(line)
    for line in b"".join(lines).decode("latin-1").split("\r\n")[:-1]:
        name, colon, value = line.partition(":")
        if not colon or not name or name[-1] in " \t":
            raise ValueError
        name, value = canonical(name), value.strip(" \t")
        if name in headers:
            if name == "Content-Length":
                raise ValueError
            value = headers[name] + ("; " if name == "Cookie" else ", ") + value
        headers[name] = value
    if "Transfer-Encoding" in headers:
        content = read_chunks(stream, headers["Transfer-Encoding"])
    else:
        content = read(stream, number(headers["Content-Length"], DECIMAL)) if "Content-Length" in headers else b""
    return method, target, headers, content


def read_chunks(stream, coding):
    if coding.lower() != "chunked":
        raise ValueError
    content = io.BytesIO()
    while size := number(read_line(stream).partition(b";")[0].decode("latin-1").rstrip(), HEXADECIMAL, 16):
        content.write(read(stream, size))
        if read(stream, 2) != b"\r\n":
            raise ValueError
    while read_line(stream) != b"\r\n":
        pass  # trailers
    return content.getvalue()


def read_line(stream):
    if not (line := stream.readline(MAX_LINE)).endswith(b"\r\n"):
        raise EOFError
    return line


def number(text, form, base=10):
    """The number; int alone takes signs, blanks and underscores, too."""
    if not form(text):
        raise ValueError
    return int(text, base)


def read(stream, size):
    """So many bytes; memory follows what has come, not what a client says will."""
    if size <= PIECE:
        content = stream.read(size)
    else:
        pieces, missing = [], size
        while missing and (piece := stream.read(min(missing, PIECE))):
            pieces.append(piece)
            missing -= len(piece)
        content = b"".join(pieces)
    if len(content) < size:
        raise EOFError
    return content
