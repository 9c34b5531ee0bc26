package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
)

// loads are those that there are, in the order of results.
func loads() []load {
	const asJSON = "application/json"
	return []load{
		newLoad("hello", http.MethodGet, "", nil),
		newLoad("json1k", http.MethodPost, asJSON, records(1<<10)),
		newLoad("json100k", http.MethodPost, asJSON, records(100<<10)),
	}
}

// records is a JSON object of this size in bytes, with objects, lists, texts
// and numbers in it: parsing one long text would cost next to nothing.
func records(size int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"records":[`)
	const end = `],"rest":"`
	for i := 0; ; i++ {
		record := fmt.Sprintf(`{"id":%d,"name":"record %d","price":%d.5,"tags":["red","blue"],"sold":%t}`, i, i, i*7, i%3 == 0)
		if i > 0 {
			record = "," + record
		}
		if b.Len()+len(record)+len(end)+len(`"}`) > size {
			break
		}
		b.WriteString(record)
	}
	b.WriteString(end)
	b.WriteString(strings.Repeat("x", size-b.Len()-len(`"}`)))
	b.WriteString(`"}`)
	return b.Bytes()
}

// check makes sure, with one call, that the server answers what the load
// expects: its data, or hello world.
func (l load) check(ctx context.Context, at endpoint) error {
	response, err := at.ask(ctx, l.method, "/", l.contentType, l.body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || !l.answered(body) {
		return fmt.Errorf("the server does not do what is measured: it answers %s %.100q", response.Status, body)
	}
	return nil
}

func (l load) answered(body []byte) bool {
	if l.body == nil {
		return strings.TrimSpace(string(body)) == "hello world"
	}
	var got, want any
	if json.Unmarshal(body, &got) != nil || json.Unmarshal(l.body, &want) != nil {
		return false
	}
	return reflect.DeepEqual(got, want)
}

// ask sends one request over a connection of its own.
func (e endpoint) ask(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://function"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, e.network, e.address)
		},
	}}
	return client.Do(request)
}
