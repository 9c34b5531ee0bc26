package kubeless

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/kubeless/kubeless/pkg/functions"
)

type order struct {
	Do      string          `json:"do"`
	Value   json.RawMessage `json:"value"`
	Text    string          `json:"text"`
	Path    string          `json:"path"`
	Name    string          `json:"name"`
	Code    int             `json:"code"`
	Parts   int             `json:"parts"`
	Bytes   int             `json:"bytes"`
	Seconds float64         `json:"seconds"`
}

// Handler does what its data says.
func Handler(event functions.Event, context functions.Context) (string, error) {
	var o order
	if event.Data == "" {
		return "hello world", nil
	}
	if json.Unmarshal([]byte(event.Data), &o) != nil || o.Do == "" {
		return event.Data, nil
	}
	pause := time.Duration(o.Seconds * float64(time.Second))
	w, r := event.Extensions.Response, event.Extensions.Request
	switch o.Do {
	case "echo":
		return echo(w, o.Value)
	case "event":
		return object(w, map[string]string{"event-id": event.EventID, "event-type": event.EventType,
			"event-time": event.EventTime, "event-namespace": event.EventNamespace})
	case "context":
		return object(w, map[string]string{"function-name": context.FunctionName, "timeout": context.Timeout,
			"runtime": context.Runtime, "memory-limit": context.MemoryLimit})
	case "request":
		return object(w, map[string]string{"method": r.Method, "path": r.URL.Path, "header": r.Header.Get("X-Contract")})
	case "status":
		w.Header().Set("X-Contract", "set")
		w.WriteHeader(o.Code)
		return "teapot", nil
	case "header":
		w.Header().Set(o.Name, o.Text)
		return "framed", nil
	case "stream":
		for i := 0; i < o.Parts; i++ {
			fmt.Fprintf(w, "part %d\n", i)
			w.(http.Flusher).Flush()
			time.Sleep(pause)
		}
		return "", nil
	case "sleep":
		select {
		case <-time.After(pause):
			return "slept", nil
		case <-event.Extensions.Context.Done():
			return "", event.Extensions.Context.Err()
		}
	case "big":
		return strings.Repeat("x", o.Bytes), nil
	case "bytes":
		w.Header().Set("Content-Type", "application/octet-stream")
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		return string(all), nil
	}
	return misbehave(o)
}

// misbehave does what functions had better not.
func misbehave(o order) (string, error) {
	switch o.Do {
	case "spin":
		for {
		}
	case "fail":
		return "", errors.New("contract: failing on purpose")
	case "exit":
		os.Exit(3)
	case "crash":
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			return "", err
		}
		select {} // until the signal is there
	case "print":
		fmt.Println(o.Text)
		return "printed", nil
	case "flood":
		line := strings.Repeat("x", 1000)
		for n := 0; n < o.Bytes; n += len(line) + 1 {
			fmt.Println(line)
		}
		return "flooded", nil
	case "write":
		if os.WriteFile(o.Path, []byte("written"), 0o644) != nil {
			return "refused", nil
		}
		return "written", nil
	}
	return "", fmt.Errorf("contract: do what? %q", o.Do)
}

// echo returns a string as it is, and other values as JSON.
func echo(w http.ResponseWriter, value json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text, nil
	}
	w.Header().Set("Content-Type", "application/json")
	return string(value), nil
}

func object(w http.ResponseWriter, fields map[string]string) (string, error) {
	w.Header().Set("Content-Type", "application/json")
	text, err := json.Marshal(fields)
	return string(text), err
}
