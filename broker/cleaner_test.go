package broker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// What is asked for is spread evenly: never more than the slack's worth at once, and none of the rate is lost to
// sleeping too long by less than the slack.
func TestPacerKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, piece = 1 << 30, 256 << 10
		var p pacer
		begin, total := time.Now(), 0.0
		for time.Since(begin) < 10*time.Second {
			if err := p.wait(t.Context(), piece, rate); err != nil {
				t.Fatal(err)
			}
			total += piece
			most := (time.Since(begin) + 2*pacerSlack).Seconds() * rate
			if total > most+piece {
				t.Fatalf("%.0f bytes after %v, want at most %.0f", total, time.Since(begin), most)
			}
			time.Sleep(50 * time.Microsecond) // the work
		}
		if least := 0.99 * rate * time.Since(begin).Seconds(); total < least {
			t.Errorf("%.0f bytes in %v, want at least %.0f", total, time.Since(begin), least)
		}
	})
}

// After a long rest there is no more at once than after a short one.
func TestPacerSavesNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 1e6
		var p pacer
		time.Sleep(time.Hour)
		begin := time.Now()
		for range 1000 {
			if err := p.wait(t.Context(), 1000, rate); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took < time.Second-2*pacerSlack || took > time.Second+pacerSlack {
			t.Errorf("1 MB at 1 MB/s took %v", took)
		}
	})
}

func TestPacerEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var p pacer
		begin := time.Now()
		if err := p.wait(ctx, 1<<30, 1); err == nil || time.Since(begin) > time.Second {
			t.Errorf("a wait of years gave %v after %v", err, time.Since(begin))
		}
	})
}
