package buildcontext

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"sync"
)

// A Hasher hashes files, each once however many images are made of it. It is
// safe for concurrent use. The zero value is ready.
type Hasher struct {
	mu     sync.Mutex
	hashes map[string]hashed // by absolute path
}

type hashed struct {
	content string
	size    int64
}

// hash is the SHA-256 of a file's bytes, and how many there are.
func (h *Hasher) hash(path string) (content string, size int64, err error) {
	h.mu.Lock()
	known, ok := h.hashes[path]
	h.mu.Unlock()
	if ok {
		return known.content, known.size, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	sum := sha256.New()
	if size, err = io.Copy(sum, file); err != nil {
		return "", 0, err
	}
	content = hex.EncodeToString(sum.Sum(nil))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hashes == nil {
		h.hashes = map[string]hashed{}
	}
	h.hashes[path] = hashed{content, size}
	return content, size, nil
}
