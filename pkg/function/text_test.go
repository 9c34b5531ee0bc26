package function

import "testing"

func TestLastLines(t *testing.T) {
	if got := LastLines("a\nb\r\nc\n\n", 2); len(got) != 2 || got[0] != "b" || got[1] != "c" {
		t.Errorf("got %q", got)
	}
	if got := LastLines(" \n", 2); got != nil {
		t.Errorf("got %q", got)
	}
	if got := Shorten("größe", 3); got != "gr… (7 bytes)" {
		t.Errorf("got %q", got)
	}
}
