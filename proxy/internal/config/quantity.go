package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// unit returns the factor of a suffix of a Kubernetes quantity.
func unit(suffix string) (float64, bool) {
	if suffix == "" {
		return 1, true
	}
	if suffix == "m" {
		return 1e-3, true
	}
	base := 1000.0
	if s, ok := strings.CutSuffix(suffix, "i"); ok {
		base, suffix = 1024, s
		if suffix == "K" {
			return base, true
		}
	} else if suffix == "k" {
		return base, true
	}
	power := strings.Index("MGTPE", suffix)
	if len(suffix) != 1 || power < 0 {
		return 0, false
	}
	return math.Pow(base, float64(power+2)), true
}

// ParseQuantity reads a number of bytes as Kubernetes writes it: "128Mi",
// "1.5G", "1e9", "0".
func ParseQuantity(s string) (int64, error) {
	number := strings.TrimRight(s, "kKMGTPEim")
	factor, ok := unit(s[len(number):])
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !ok || !(n >= 0) || n*factor > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is not a size such as 128Mi", s)
	}
	return int64(math.Ceil(n * factor)), nil
}
