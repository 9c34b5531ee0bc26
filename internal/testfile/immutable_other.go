//go:build !linux

package testfile

import "errors"

func immutable(string) (func() error, error) { return nil, errors.ErrUnsupported }
