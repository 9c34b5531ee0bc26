// Package plural counts things for people.
package plural

import "fmt"

// Count is "1 error", "2 errors": a number and what it is of, whose plural has an s.
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Of is "1 of 2 images": some of a number of things.
func Of(some, n int, thing string) string {
	return fmt.Sprintf("%d of %s", some, Count(n, thing))
}
