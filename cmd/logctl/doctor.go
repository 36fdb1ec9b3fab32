package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// diagnosis is an element of the JSON of "doctor".
type diagnosis struct {
	Check  string  `json:"check"`
	Where  string  `json:"where"`  // a broker, an address, a directory
	Result verdict `json:"result"` // ok, warning, problem, skipped
	Found  string  `json:"found"`
	Remedy string  `json:"remedy,omitempty"` // unless all is well
}

type verdict string

const (
	fine    verdict = "ok"
	warning verdict = "warning"
	problem verdict = "problem"
	skipped verdict = "skipped"
)

// styles are the verdicts' colours.
var styles = map[verdict]render.Style{fine: render.Good, warning: render.Warn, problem: render.Bad, skipped: render.Faint}

type doctor struct {
	*app
	dataDir  string
	admins   []string
	readOnly bool

	found []diagnosis
}

func newDoctor(a *app) *cobra.Command {
	d := &doctor{app: a}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check a cluster and this machine, and say what to do about what is wrong",
		Long: `Check what commonly goes wrong, and say what to do about it:

  reachable    every broker answers at the address that it gives to clients
  advertised   those addresses can mean the same broker to every client
  health       what logctl cluster health finds
  clock        brokers' clocks, against that of this machine
  writing      how long each broker takes to have a record on its disk
  space        free space of the brokers' disks
  ready, descriptors
               what brokers say at the admin addresses that --admin names
  With --data-dir, of this machine: space, disk (fdatasync and syncfs), descriptors, files
  that were set aside as damaged

For clock and writing, a topic logctl-doctor-… with a partition on each broker is made, written to
and deleted; --read-only leaves them out. Should one be left behind, because logctl was killed, delete
it: logctl topic delete 'logctl-doctor-*'. The status is 1 where there is a problem, and 3 where no
broker answers; warnings leave it at 0.`,
		Example: `  logctl doctor
  logctl doctor --read-only -o json
  logctl doctor --data-dir data --admin 127.0.0.1:9644`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return d.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&d.dataDir, "data-dir", "", "check the disk below this `DIRECTORY` of this machine too")
	f.StringSliceVar(&d.admins, "admin", nil, "brokers' admin addresses, as `HOST:PORT,...`")
	f.BoolVar(&d.readOnly, "read-only", false, "make no topic and write nothing")
	return c
}

// say adds what was found.
func (d *doctor) say(check, where string, result verdict, found, remedy string) {
	if result == fine {
		remedy = ""
	}
	d.found = append(d.found, diagnosis{check, where, result, found, remedy})
}

func (d *doctor) run(ctx context.Context) error {
	admins, err := addresses(d.admins)
	if err != nil {
		return err
	}
	if d.dataDir != "" {
		if err := d.checkMachine(ctx); err != nil {
			return err
		}
	}
	unreached := d.withClient(ctx, d.checkCluster)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if unreached != nil {
		f := d.explain(unreached, "")
		what, remedy, _ := strings.Cut(f.message, "; ")
		d.say("reachable", d.at(), problem, what, remedy)
	}
	for _, addr := range admins {
		d.checkAdmin(ctx, addr)
	}
	if err := d.report(); err != nil {
		return err
	}
	return d.outcome(unreached)
}

// outcome is the exit status, in words.
func (d *doctor) outcome(unreached error) error {
	n := int64(0)
	for _, x := range d.found {
		if x.Result == problem {
			n++
		}
	}
	var f *failure
	if errors.As(unreached, &f) && f.status == statusUnreachable {
		return unreachable("%s found, and no broker answers at %s", render.Plural(n, "problem"), d.at())
	}
	if n > 0 {
		return refused("%s found", render.Plural(n, "problem"))
	}
	return nil
}

func (d *doctor) report() error {
	table := render.NewTable("CHECK", "WHERE", "RESULT", "FOUND~")
	var parts []render.Part
	for _, x := range d.found {
		table.Row(x.Check, x.Where, render.Styled(styles[x.Result], x.Result), x.Found)
	}
	parts = append(parts, table)
	for _, x := range d.found {
		if x.Remedy != "" && x.Result != skipped {
			parts = append(parts, render.Fields{
				{Name: string(x.Result), Value: render.Styled(styles[x.Result], x.Check+" of "+x.Where+": "+x.Found)},
				{Name: "do", Value: x.Remedy},
			})
		}
	}
	return d.print(d.found, parts...)
}

// checkCluster looks at what the brokers say and do.
func (d *doctor) checkCluster(ctx context.Context, cl *kgo.Client) error {
	c, err := d.examine(ctx, cl)
	if err != nil {
		return err
	}
	for _, b := range c.brokers {
		where := fmt.Sprintf("broker %d", b.id)
		switch found, bad := c.silent[b.id]; {
		case b.fenced:
			d.say("reachable", where, problem, "the cluster has not heard of it for a while", "start it, or take it out: logctl cluster remove "+fmt.Sprint(b.id))
		case bad:
			d.say("reachable", where, problem, found, "open the way to that address, or give clients another with --advertise on that broker")
		default:
			d.say("reachable", where, fine, "answers at "+hostPort(b.host, b.port), "")
		}
	}
	d.checkAdvertised(c.brokers)
	d.checkHealth(c)
	d.checkSpace(ctx, cl, c.brokers)
	if d.readOnly {
		d.say("clock", "all brokers", skipped, "left out, as --read-only says", "")
		d.say("writing", "all brokers", skipped, "left out, as --read-only says", "")
		return nil
	}
	return d.checkWriting(ctx, cl, c.brokers)
}

func (d *doctor) checkHealth(c *checkup) {
	var problems []string
	for _, f := range c.findings() {
		if f.Problem && f.Kind != "broker_unreachable" && f.Kind != "broker_down" { // told of already
			problems = append(problems, f.What)
		}
	}
	if len(problems) > 0 {
		d.say("health", "the cluster", problem, strings.Join(problems, "; "), "see logctl cluster health, which says what to do about each")
		return
	}
	d.say("health", "the cluster", fine, "nothing more is wrong", "")
}

// Clocks and writes that differ by more than this are worth a word, or a problem.
const (
	clockWarning = 500 * time.Millisecond
	clockProblem = 30 * time.Second
	writeWarning = 50 * time.Millisecond
	writeProblem = 500 * time.Millisecond
)

// sayClock judges a clock that is ahead of this machine's by d, give or take what the answer took.
func (d *doctor) sayClock(broker int32, ahead, unsure time.Duration) {
	where := fmt.Sprintf("broker %d", broker)
	off := max(0, ahead.Abs()-unsure)
	found := fmt.Sprintf("%v %s this machine's", ahead.Abs().Round(time.Millisecond), map[bool]string{true: "ahead of", false: "behind"}[ahead > 0])
	remedy := "run a time service, such as chrony, on that machine and on this one; records' times, retention and what logctl counts back from now go by clocks"
	switch {
	case off >= clockProblem:
		d.say("clock", where, problem, found, remedy)
	case off >= clockWarning:
		d.say("clock", where, warning, found, remedy)
	default:
		d.say("clock", where, fine, fmt.Sprintf("as this machine's, to within %v", max(ahead.Abs(), unsure).Round(time.Millisecond)), "")
	}
}

// sayWrite judges how long a broker takes to acknowledge a record that is on its disk.
func (d *doctor) sayWrite(broker int32, took []time.Duration) {
	where := fmt.Sprintf("broker %d", broker)
	slices.Sort(took)
	median := took[len(took)/2]
	found := fmt.Sprintf("a record is on disk after %v (median of %d)", median.Round(10*time.Microsecond), len(took))
	remedy := "see what else writes to its disk, and what the disk takes for a sync: logctl doctor --data-dir DIRECTORY on that machine"
	switch {
	case median >= writeProblem:
		d.say("writing", where, problem, found, remedy)
	case median >= writeWarning:
		d.say("writing", where, warning, found, remedy)
	default:
		d.say("writing", where, fine, found, "")
	}
}
