package declare

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	want := File{
		Topics:  map[string]Topic{"orders": {Partitions: 6, Replicas: 3, Configs: Settings{"retention.ms": "-1", "cleanup.policy": "compact,delete"}}},
		Cluster: Settings{"log.retention.ms": "604800000"},
		Brokers: map[int32]Settings{1: {"num.io.threads": "8"}},
		Groups:  map[string]Settings{"auditors": {"consumer.session.timeout.ms": "50000"}},
	}
	var text bytes.Buffer
	if err := Write(&text, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&text)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestValuesAreTextHoweverTheyAreWritten(t *testing.T) {
	got, err := Read(strings.NewReader("topics: {t: {configs: {a: 1, b: true, c: [x, y], d: '01', e: 0.50}}}"))
	want := Settings{"a": "1", "b": "true", "c": "x,y", "d": "01", "e": "0.50"}
	if err != nil || !reflect.DeepEqual(got.Topics["t"].Configs, want) {
		t.Errorf("read %v, %v", got.Topics["t"].Configs, err)
	}
}

func TestChangesAreWhatDiffersAndNoMore(t *testing.T) {
	is := File{
		Topics:  map[string]Topic{"a": {1, 3, Settings{"x": "1", "y": "2"}}, "b": {1, 1, Settings{"x": "1"}}, "old": {2, 1, nil}, "__own": {1, 1, nil}},
		Cluster: Settings{"s": "1", "t": "2"},
	}
	want := File{
		Topics:  map[string]Topic{"a": {4, 0, Settings{"y": "3", "z": "4"}}, "b": {}, "new": {0, 2, Settings{"x": "1"}}},
		Cluster: Settings{"s": "1", "u": "3"},
	}
	changes, err := Compare(is, want, true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		value := func(s *string) string {
			if s == nil {
				return "-"
			}
			return *s
		}
		got = append(got, fmt.Sprintf("%s %s %s %s->%s", c.Action, c.Resource, c.Name, value(c.Before), value(c.After)))
	}
	expect := []string{
		"add_partitions topic/a partitions 1->4", "set topic/a y 2->3", "set topic/a z -->4", "reset topic/a x 1->-",
		"create topic/new  -->default partitions, 2 replicas", "set topic/new x -->1",
		"set cluster u -->3", "reset cluster t 2->-", "delete topic/old  2 partitions, 1 replica->-",
	}
	if !reflect.DeepEqual(got, expect) {
		t.Errorf("changes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(expect, "\n"))
	}
	if changes, err = Compare(is, File{Topics: map[string]Topic{"b": {}}}, false); err != nil || len(changes) != 0 {
		t.Errorf("changes %+v, %v", changes, err)
	}
}
