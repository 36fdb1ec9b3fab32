//go:build !linux && !darwin

package main

import "log/slog"

// descriptors is 0 where the limit is not known.
func descriptors(*slog.Logger) int { return 0 }
