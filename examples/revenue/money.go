package main

import (
	"fmt"
	"strconv"
)

// pence is an amount of money in hundredths of a pound.
type pence int64

// String writes the amount as in £1,234.56.
func (p pence) String() string {
	sign := ""
	if p < 0 {
		sign, p = "-", -p
	}
	return fmt.Sprintf("%s£%s.%02d", sign, thousands(int64(p/100)), p%100)
}

// thousands writes a number that is not negative with a comma after every three digits.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
