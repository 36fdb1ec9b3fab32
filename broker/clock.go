package broker

import "time"

const (
	// clockTolerance is by how much the wall clock may be set between two looks and still be
	// believed at once.
	clockTolerance = time.Minute
	// clockBelieved is for how long a clock that was set ahead must run on before it is believed.
	clockBelieved = time.Hour
)

// clockGuard keeps a wall clock that is set ahead by mistake, and soon set back, from making
// everything look old enough to be deleted. It compares the clock with how long the process has
// been running. It belongs to one goroutine.
type clockGuard struct {
	wall    time.Time     // at the last look
	running time.Duration // at the last look
	ahead   time.Duration // by how much the clock was set ahead and is not believed
	set     time.Duration // when it was last set, by running
}

// look returns how far the wall clock is ahead of what may be believed. running is how long the
// process has been running.
func (g *clockGuard) look(wall time.Time, running time.Duration) (ahead time.Duration) {
	wall = wall.Round(0) // without its monotonic reading, which does not jump
	jump := wall.Sub(g.wall.Round(0)) - (running - g.running)
	if jump.Abs() > clockTolerance {
		g.ahead = max(0, g.ahead+jump)
		g.set = running
	} else if running-g.set >= clockBelieved {
		g.ahead = 0
	}
	g.wall, g.running = wall, running
	return g.ahead
}
