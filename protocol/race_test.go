//go:build race

package protocol

// With the race detector, appending a made slice really makes it.
const allocationFactor = 2
