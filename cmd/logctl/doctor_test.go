package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func checks(all []diagnosis) map[string]verdict {
	out := map[string]verdict{}
	for _, x := range all {
		out[x.Check+" "+x.Where] = x.Result
	}
	return out
}

func TestDoctorFindsAHealthyClusterWell(t *testing.T) {
	c := newBroker(t)
	dir := t.TempDir()
	r := c.run("", "doctor", "--data-dir", dir, "-o", "json")
	all := decode[[]diagnosis](r)
	got := checks(all)
	for _, broker := range []string{"broker 1", "broker 2", "broker 3"} {
		for _, check := range []string{"reachable", "advertised"} {
			if got[check+" "+broker] != fine {
				t.Errorf("%s of %s: %+v", check, broker, all)
			}
		}
		for _, check := range []string{"clock", "writing", "space"} {
			if _, done := got[check+" "+broker]; !done {
				t.Errorf("no %s of %s: %+v", check, broker, all)
			}
		}
	}
	for _, x := range all {
		if (x.Result == fine) != (x.Remedy == "") || x.Found == "" {
			t.Errorf("incomplete: %+v", x)
		}
	}
	if got["damage "+dir] != fine || got["disk "+dir] == "" {
		t.Errorf("of this machine: %+v", all)
	}
	if topics := c.ok("topic", "list").stdout; strings.Contains(topics, "doctor") {
		t.Errorf("left %s", topics)
	}
	c.run("", "doctor", "--read-only").says("CHECK", "reachable", "skipped")
}

func TestDoctorTellsOfNobodyAndOfThisMachine(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	nobody := httptest.NewServer(http.NotFoundHandler())
	addr := nobody.Listener.Addr().String()
	nobody.Close()
	r := execute(t, "", "-b", addr, "doctor", "--data-dir", t.TempDir(), "-o", "json").want(statusUnreachable).complains(addr)
	if got := checks(decode[[]diagnosis](r)); got["reachable "+addr] != problem {
		t.Errorf("found %+v", got)
	}
	execute(t, "", "-b", addr, "doctor", "--data-dir", "/no/such").want(statusUsage).complains("/no/such")
}

func TestDoctorAsksAdminAddresses(t *testing.T) {
	page := "process_open_fds 90\nprocess_max_fds 100\n"
	ready := http.StatusOK
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(ready)
			_, _ = w.Write([]byte(`{"reasons":["no quorum","late"]}`))
			return
		}
		_, _ = w.Write([]byte(page))
	}))
	defer admin.Close()
	addr := admin.Listener.Addr().String()
	d := &doctor{app: &app{timeout: time.Second}}
	d.checkAdmin(t.Context(), addr)
	if got := checks(d.found); got["ready "+addr] != fine || got["descriptors "+addr] != problem {
		t.Errorf("found %+v", d.found)
	}
	ready, page = http.StatusServiceUnavailable, ""
	d.found = nil
	d.checkAdmin(t.Context(), addr)
	if got := checks(d.found); got["ready "+addr] != problem || got["descriptors "+addr] != skipped || !strings.Contains(d.found[0].Found, "no quorum; late") {
		t.Errorf("found %+v", d.found)
	}
}

func TestDoctorJudgesAddressesAndClocks(t *testing.T) {
	d := &doctor{app: &app{bootstrap: []string{"10.0.0.1:9092"}}}
	d.checkAdvertised([]brokerView{{id: 1, host: "127.0.0.1", port: 1}, {id: 2, host: "0.0.0.0", port: 2}, {id: 3, host: "b3", port: 3}, {id: 4, host: "b3", port: 3}})
	d.sayClock(1, -time.Minute, time.Millisecond)
	d.sayClock(2, time.Second, time.Millisecond)
	d.sayClock(3, time.Second, 2*time.Second)
	d.sayWrite(1, []time.Duration{time.Second, time.Second, 0})
	d.sayWrite(2, []time.Duration{time.Millisecond})
	d.saySpace("x", 1, 100)
	d.saySpace("y", 10, 100)
	want := map[string]verdict{
		"advertised broker 1": problem, "advertised broker 2": problem, "advertised broker 3": fine, "advertised broker 4": problem,
		"clock broker 1": problem, "clock broker 2": warning, "clock broker 3": fine, "writing broker 1": problem, "writing broker 2": fine,
		"space x": problem, "space y": warning,
	}
	for k, v := range checks(d.found) {
		if want[k] != v {
			t.Errorf("%s: %s, want %s", k, v, want[k])
		}
	}
}
