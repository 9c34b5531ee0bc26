package plural_test

import (
	"fmt"

	"github.com/rtbuild/rtbuild/pkg/plural"
)

func Example() {
	fmt.Println(plural.Count(0, "error"), "and", plural.Count(1, "error"), "and", plural.Count(2, "error"))
	fmt.Println(plural.Of(1, 1, "image"), "and", plural.Of(1, 2, "image"))
	// Output:
	// 0 errors and 1 error and 2 errors
	// 1 of 1 image and 1 of 2 images
}
