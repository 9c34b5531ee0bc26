// What functions import, and the server around them. The language version is
// an old one since a function's module must not be older than what it requires.
module github.com/kubeless/kubeless

go 1.16
