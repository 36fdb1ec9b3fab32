package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Valid limits the values of a setting beyond its type. The zero value allows all.
type Valid struct {
	// Text is the limit for documentation, in the notation of Kafka's: [1,...], [a, b].
	Text string
	// fault returns "" for a possible value, else what to show and the reason in Kafka's words.
	fault func(value) (shown, reason string)
}

func (v Valid) check(x value) (shown, reason string) {
	if v.fault == nil {
		return "", ""
	}
	return v.fault(x)
}

func atLeast(low int64) Valid {
	return Valid{
		Text:  fmt.Sprintf("[%d,...]", low),
		fault: func(x value) (string, string) { return strconv.FormatInt(x.num, 10), below(x.num, low) },
	}
}

func between(low, high int64) Valid {
	return Valid{
		Text: fmt.Sprintf("[%d,...,%d]", low, high),
		fault: func(x value) (string, string) {
			reason := below(x.num, low)
			if x.num > high {
				reason = fmt.Sprintf("Value must be no more than %d", high)
			}
			return strconv.FormatInt(x.num, 10), reason
		},
	}
}

func below(n, low int64) string {
	if n < low {
		return fmt.Sprintf("Value must be at least %d", low)
	}
	return ""
}

// betweenOr allows one value outside the range as well.
func betweenOr(low, high, other int64) Valid {
	return Valid{
		Text: fmt.Sprintf("[%d,...,%d] or %d", low, high, other),
		fault: func(x value) (string, string) {
			if x.num == other || low <= x.num && x.num <= high {
				return "", ""
			}
			return strconv.FormatInt(x.num, 10), fmt.Sprintf("Value must be between %d and %d or equal to %d", low, high, other)
		},
	}
}

// unlimitedOrPositive is log.retention.ms and its kin: 0 would delete at once and is taken for a slip.
func unlimitedOrPositive() Valid {
	return Valid{
		Text: "[1,...] or -1",
		fault: func(x value) (string, string) {
			if x.num == 0 {
				return "0", "Value must be unlimited (-1) or greater than or equal to 1"
			}
			return "", ""
		},
	}
}

// fraction allows 0 to 1.
func fraction() Valid {
	return Valid{
		Text: "[0,...,1]",
		fault: func(x value) (string, string) {
			switch {
			case x.real > 1:
				return x.text, "Value must be no more than 1"
			case !(x.real >= 0): // NaN too
				return x.text, "Value must be at least 0"
			}
			return "", ""
		},
	}
}

func oneOf(words ...string) Valid {
	all := strings.Join(words, ", ")
	return Valid{
		Text: "[" + all + "]",
		fault: func(x value) (string, string) {
			if slices.Contains(words, x.text) {
				return "", ""
			}
			return x.text, "String must be one of: " + all
		},
	}
}

// eachOf limits a list's elements; Kafka names the element that is wrong.
func eachOf(words ...string) Valid {
	one := oneOf(words...)
	return Valid{
		Text: one.Text,
		fault: func(x value) (shown, reason string) {
			for _, word := range x.list {
				if shown, reason = one.fault(value{text: word}); reason != "" {
					return shown, reason
				}
			}
			return "", ""
		},
	}
}

var replica = regexp.MustCompile(`^[0-9]+:[0-9]+$`)

// throttled is a list of replicas as PARTITION:BROKER, or * for all.
func throttled(name string) Valid {
	const form = "[partitionId]:[brokerId],[partitionId]:[brokerId],..."
	return Valid{
		Text: form,
		fault: func(x value) (string, string) {
			if x.text == "*" || !slices.ContainsFunc(x.list, func(s string) bool { return !replica.MatchString(s) }) {
				return "", ""
			}
			return "[" + strings.Join(x.list, ", ") + "]",
				name + " must be the literal '*' or a list of replicas in the following format: " + form
		},
	}
}
