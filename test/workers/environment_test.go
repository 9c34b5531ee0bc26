package workers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestHeadersAsVariables sends headers that, written as variables of CGI, would
// pass for others or for what HTTP clients go by.
func TestHeadersAsVariables(t *testing.T) {
	for _, l := range languages() {
		if l.name != "ruby" && l.name != "php" && l.name != "binary" {
			continue // the others have no such variables
		}
		for _, own := range []string{"", "http://proxy.example:3128"} {
			t.Run(l.name+" "+own, func(t *testing.T) {
				var env []string
				if own != "" {
					env = append(env, "HTTP_PROXY="+own)
				}
				conn := start(t, l, env...).dial(t)
				from := bufio.NewReader(conn)
				fmt.Fprint(conn, "POST /?q=1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\nX-Own: own\r\nContent-Type: text/plain\r\n"+
					"Proxy: evil\r\nPROXY: evil\r\nX_Forwarded_For: evil\r\nX-Forwarded_For: evil\r\nX_Own: evil\r\nContent_Length: evil\r\nContent_Type: evil\r\n"+
					"Event_Id: evil\r\n_: evil\r\nHost_: evil\r\nEvent-Type: {\"kind\":\"environment\"}\r\nContent-Length: 4\r\n\r\ndata")
				a, err := readAnswer(from, "POST")
				if err != nil {
					t.Fatal(err)
				}
				var variables map[string]any
				if err := json.Unmarshal([]byte(a.body), &variables); err != nil {
					t.Fatalf("%v in %s", err, a.body)
				}
				for name, value := range variables {
					if strings.Contains(fmt.Sprint(value), "evil") {
						t.Errorf("%s is %v", name, value)
					}
				}
				if variables["HTTP_X_OWN"] != "own" || variables["HTTP_X_FORWARDED_FOR"] != "10.0.0.1" || variables["CONTENT_TYPE"] != "text/plain" {
					t.Errorf("variables are missing: %v", variables)
				}
				got, found := variables["HTTP_PROXY"]
				if l.name == "ruby" && found || l.name != "ruby" && own != "" && got != own || own == "" && found {
					t.Errorf("HTTP_PROXY is %v; the environment's is %q", got, own)
				}
				if value := variables["getenv"]; l.name == "php" && own != "" && value != own {
					t.Errorf("getenv gives %v", value)
				}
			})
		}
	}
}
