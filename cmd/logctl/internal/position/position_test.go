package position

import (
	"testing"
	"time"
)

func TestParseReadsEveryForm(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]Position{
		"start":                     {Kind: Start},
		"earliest":                  {Kind: Start},
		"latest":                    {Kind: End},
		"0":                         {Kind: Offset},
		"42":                        {Kind: Offset, N: 42},
		"-10":                       {Kind: Last, N: 10},
		"shift:+5":                  {Kind: Shift, N: 5},
		"shift:-5":                  {Kind: Shift, N: -5},
		"-90m":                      {Kind: Time, Time: now.Add(-90 * time.Minute)},
		"-7d":                       {Kind: Time, Time: now.AddDate(0, 0, -7)},
		"-2w":                       {Kind: Time, Time: now.AddDate(0, 0, -14)},
		"@1322728320000":            {Kind: Time, Time: time.UnixMilli(1322728320000)},
		"2011-12-01T08:32:00Z":      {Kind: Time, Time: time.Date(2011, 12, 1, 8, 32, 0, 0, time.UTC)},
		"2011-12-01T08:32:00+01:00": {Kind: Time, Time: time.Date(2011, 12, 1, 7, 32, 0, 0, time.UTC)},
		"2011-12-01 08:32:00":       {Kind: Time, Time: time.Date(2011, 12, 1, 8, 32, 0, 0, time.Local)},
		"2011-12-01":                {Kind: Time, Time: time.Date(2011, 12, 1, 0, 0, 0, 0, time.Local)},
	} {
		got, err := Parse(in, now)
		if err != nil || got.Kind != want.Kind || got.N != want.N || !got.Time.Equal(want.Time) {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
}

func TestParseRefusesWhatIsNoPosition(t *testing.T) {
	for _, in := range []string{"", "yesterday", "-", "--1h", "-1x", "@", "@-1", "@x", "shift:", "shift:x", "1.5", "2011-13-01"} {
		if got, err := Parse(in, time.Now()); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", in, got)
		}
	}
}

func TestInStaysWithinThePartition(t *testing.T) {
	for _, c := range []struct {
		p    Position
		want int64
	}{
		{Position{Kind: Start}, 10},
		{Position{Kind: End}, 20},
		{Position{Kind: Offset, N: 15}, 15},
		{Position{Kind: Offset, N: 3}, 10},
		{Position{Kind: Offset, N: 99}, 20},
		{Position{Kind: Last, N: 4}, 16},
		{Position{Kind: Last, N: 400}, 10},
		{Position{Kind: Shift, N: -2}, 10},
		{Position{Kind: Shift, N: 3}, 15},
	} {
		if got := c.p.In(10, 20, 12); got != c.want {
			t.Errorf("%v.In(10, 20, 12) = %d, want %d", c.p, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"start", "-1h", "@5", "shift:+3", "2011-12-01", "-9223372036854775808"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(s, time.Unix(0, 0))
		if err != nil || p.Kind == Time {
			return
		}
		again, err := Parse(p.String(), time.Unix(0, 0))
		if err != nil || again != p {
			t.Fatalf("%q parsed to %+v, written as %q, parsed to %+v, %v", s, p, p.String(), again, err)
		}
	})
}
