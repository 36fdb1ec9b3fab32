//go:build race

package brokertest

// Race says that the tests, and the brokers that they start unless MainOfClient is used, have the race detector.
const Race = true
