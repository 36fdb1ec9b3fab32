//go:build !race

package brokertest

// Race says that the tests, and the brokers that they start, have the race detector.
const Race = false
