package throttle

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

const slack = 2 * time.Millisecond

// What is asked for is spread evenly: never more than the slack's worth at once, and none of the rate is lost to
// sleeping too long by less than the slack.
func TestKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, piece = 1 << 30, 256 << 10
		p := Bytes{Slack: slack}
		begin, total := time.Now(), 0.0
		for time.Since(begin) < 10*time.Second {
			if err := p.Wait(t.Context(), piece, rate); err != nil {
				t.Fatal(err)
			}
			total += piece
			most := (time.Since(begin) + 2*slack).Seconds() * rate
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
func TestSavesNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 1e6
		p := Bytes{Slack: slack}
		time.Sleep(time.Hour)
		begin := time.Now()
		for range 1000 {
			if err := p.Wait(t.Context(), 1000, rate); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took < time.Second-2*slack || took > time.Second+slack {
			t.Errorf("1 MB at 1 MB/s took %v", took)
		}
	})
}

func TestEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := Bytes{Slack: slack}
		begin := time.Now()
		if err := p.Wait(ctx, 1<<30, 1); err == nil || time.Since(begin) > time.Second {
			t.Errorf("a wait of years gave %v after %v", err, time.Since(begin))
		}
	})
}

func TestCallersShareTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Bytes
		start := time.Now()
		done := make(chan error)
		for range 2 {
			go func() {
				var err error
				for range 10 {
					if e := p.Wait(context.Background(), 1<<20, 4<<20); e != nil {
						err = e
					}
				}
				done <- err
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if d := time.Since(start); d < 4700*time.Millisecond || d > 5*time.Second {
			t.Errorf("20 MiB at 4 MiB/s took %v", d)
		}
	})
}
