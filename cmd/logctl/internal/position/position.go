// Package position parses the words by which people name a place in a partition: an end of it, an
// offset, a time, or a step from where they stand.
package position

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kind says how a Position is to be read.
type Kind int

const (
	// Start is the oldest record that is still there.
	Start Kind = iota
	// End is the place where the next record will be written.
	End
	// Offset is the offset N.
	Offset
	// Last is N records before the end.
	Last
	// Time is the first record whose timestamp is Time or later.
	Time
	// Shift is N records from the present place, backwards where negative.
	Shift
)

// Position is a place in any partition. The zero value is its start.
type Position struct {
	Kind Kind
	N    int64
	Time time.Time
}

// Syntax is the grammar that Parse accepts, in one line for help texts.
const Syntax = "start, end, OFFSET, -N (the last N), -1h or -7d (ago), @MILLISECONDS, or a time such as 2011-12-01T08:00:00Z"

// maxBits keeps a number small enough to be negated and added to an offset.
const maxBits = 63

// Parse reads a position. Times without a zone are local; ages such as -1h count back from now.
// "shift:+N" is understood too, though only some callers can use it.
func Parse(s string, now time.Time) (Position, error) {
	switch s {
	case "start", "earliest", "beginning":
		return Position{Kind: Start}, nil
	case "end", "latest":
		return Position{Kind: End}, nil
	}
	if n, ok := strings.CutPrefix(s, "shift:"); ok {
		return parseShift(s, n)
	}
	if ms, ok := strings.CutPrefix(s, "@"); ok {
		n, err := strconv.ParseInt(ms, 10, 64)
		if err != nil || n < 0 {
			return Position{}, fmt.Errorf("%q is no time in milliseconds since 1970", s)
		}
		return Position{Kind: Time, Time: time.UnixMilli(n)}, nil
	}
	if n, err := strconv.ParseInt(s, 10, maxBits); err == nil {
		if strings.HasPrefix(s, "-") {
			return Position{Kind: Last, N: -n}, nil
		}
		return Position{Kind: Offset, N: n}, nil
	}
	if age, ok := strings.CutPrefix(s, "-"); ok {
		d, err := parseAge(age)
		if err != nil {
			return Position{}, fmt.Errorf("%q is neither a number of records nor an age such as -90s, -1h or -7d", s)
		}
		return Position{Kind: Time, Time: now.Add(-d)}, nil
	}
	t, err := ParseTime(s)
	if err != nil {
		return Position{}, fmt.Errorf("%q is no position; use %s", s, Syntax)
	}
	return Position{Kind: Time, Time: t}, nil
}

func parseShift(whole, n string) (Position, error) {
	v, err := strconv.ParseInt(n, 10, maxBits)
	if err != nil {
		return Position{}, fmt.Errorf("%q is no shift; use shift:+N or shift:-N", whole)
	}
	return Position{Kind: Shift, N: v}, nil
}

// parseAge is time.ParseDuration with days and weeks.
func parseAge(s string) (time.Duration, error) {
	for unit, d := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			v, err := strconv.ParseUint(n, 10, 14)
			return time.Duration(v) * d, err
		}
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = fmt.Errorf("negative age")
	}
	return d, err
}

var layouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05Z07:00",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
}

// ParseTime reads an RFC 3339 time, with a space for the T, without seconds, without a time of day
// or without a zone (then local), or @MILLISECONDS.
func ParseTime(s string) (time.Time, error) {
	if ms, ok := strings.CutPrefix(s, "@"); ok {
		if n, err := strconv.ParseInt(ms, 10, 64); err == nil && n >= 0 {
			return time.UnixMilli(n), nil
		}
	}
	for _, l := range layouts {
		if t, err := time.ParseInLocation(l, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; use 2011-12-01T08:00:00Z, 2011-12-01 or @MILLISECONDS", s)
}

// String names the position as Parse would accept it.
func (p Position) String() string {
	switch p.Kind {
	case Start:
		return "start"
	case End:
		return "end"
	case Offset:
		return strconv.FormatInt(p.N, 10)
	case Last:
		return "-" + strconv.FormatInt(p.N, 10)
	case Shift:
		return fmt.Sprintf("shift:%+d", p.N)
	default:
		return p.Time.Format(time.RFC3339Nano)
	}
}

// In returns the offset that p names in a partition that now reaches from start to end (the next
// offset to be written), kept within them. It is for the kinds that need no look-up: all but Time.
// present is where a Shift begins.
func (p Position) In(start, end, present int64) int64 {
	var at int64
	switch p.Kind {
	case Start:
		at = start
	case Offset:
		at = p.N
	case Last:
		at = end - p.N
	case Shift:
		at = present + p.N
	default:
		at = end
	}
	return min(max(at, start), end)
}
