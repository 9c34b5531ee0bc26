package function

import (
	"fmt"
	"math/big"
	"regexp"
)

// quantity is a number with one of Kubernetes' suffixes.
var quantity = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|K)?$`)

// parseQuantity is a quantity in thousandths, rounded up; empty is 0.
func parseQuantity(text string) (int64, bool) {
	if text == "" {
		return 0, true
	}
	m := quantity.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	value, ok := new(big.Rat).SetString(m[1])
	if !ok {
		return 0, false
	}
	powers := map[string][2]int64{
		"m": {1000, -1}, "": {1000, 0}, "k": {1000, 1}, "K": {1000, 1}, "M": {1000, 2}, "G": {1000, 3}, "T": {1000, 4}, "P": {1000, 5}, "E": {1000, 6},
		"Ki": {1024, 1}, "Mi": {1024, 2}, "Gi": {1024, 3}, "Ti": {1024, 4}, "Pi": {1024, 5}, "Ei": {1024, 6},
	}
	power := powers[m[2]]
	factor := new(big.Int).Exp(big.NewInt(power[0]), big.NewInt(max(power[1], 0)), nil)
	if power[1] >= 0 {
		factor.Mul(factor, big.NewInt(1000))
	}
	value.Mul(value, new(big.Rat).SetInt(factor))
	up := new(big.Int).Sub(value.Denom(), big.NewInt(1))
	whole := up.Div(up.Add(up, value.Num()), value.Denom())
	return whole.Int64(), whole.IsInt64()
}

// least is the smallest memory limit that engines take.
const least = 6 << 20

// ParseMemory is a limit as Kubernetes writes it ("128Mi"), in bytes; empty is
// none and 0.
func ParseMemory(text string) (int64, error) {
	thousandths, ok := parseQuantity(text)
	if !ok {
		return 0, fmt.Errorf("memory %q: want bytes with one of the suffixes k, M, G, Ki, Mi, Gi (as in 128Mi)", text)
	}
	bytes := (thousandths + 999) / 1000
	if text != "" && bytes < least {
		return 0, fmt.Errorf("memory %q: %d bytes are too few to run anything; 128Mi is 128 megabytes", text, bytes)
	}
	return bytes, nil
}

// ParseCPU is a limit as Kubernetes writes it ("500m", "2"), in thousandths of
// a CPU; empty is none and 0.
func ParseCPU(text string) (int64, error) {
	thousandths, ok := parseQuantity(text)
	if !ok || text != "" && thousandths < 1 {
		return 0, fmt.Errorf("cpu %q: want CPUs or thousandths of one (as in 2, 0.5 or 500m)", text)
	}
	return thousandths, nil
}
