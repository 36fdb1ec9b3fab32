//go:build !race

package protocol

// allocationFactor is how many times more than usual a slice that is appended to allocates.
const allocationFactor = 1
