package cluster

import "testing"

func TestABrokerIDBelongsToOneDataDirectoryWhileItsBrokerRuns(t *testing.T) {
	b := Broker{ID: 1, Identity: "A", Incarnation: "1"}
	i := with(t, new(Image), must(RegisterBroker(new(Image), b))(t)...)
	if rs := must(RegisterBroker(i, b))(t); rs != nil {
		t.Fatalf("registered again: %v", rs)
	}
	other := Broker{ID: 1, Identity: "B", Incarnation: "9"}
	_, err := RegisterBroker(i, other)
	refused(t, err, ErrDuplicateBroker, "A", "B")
	i = with(t, i, must(FenceBroker(i, 1))(t)...)
	if rs := must(RegisterBroker(i, other))(t); len(rs) != 1 {
		t.Fatalf("a wiped node of a fenced broker: %v", rs)
	}
	b.Incarnation = "2"
	i = with(t, i, must(RegisterBroker(i, b))(t)...)
	if got := i.Broker(1); got.Incarnation != "2" || got.Fenced {
		t.Fatalf("%+v after a restart", got)
	}
	_, err = RegisterBroker(i, Broker{ID: -1, Identity: "A"})
	refused(t, err, ErrInvalidRequest, "-1")
	_, err = RegisterBroker(i, Broker{ID: 4})
	refused(t, err, ErrInvalidRequest, "4")
}

func TestFencingIsIdempotent(t *testing.T) {
	i := brokersIn(1)
	if rs := must(UnfenceBroker(i, 1))(t); rs != nil {
		t.Fatalf("unfenced before: %v", rs)
	}
	i = with(t, i, must(FenceBroker(i, 1))(t)...)
	if rs := must(FenceBroker(i, 1))(t); rs != nil || !i.Broker(1).Fenced {
		t.Fatalf("fenced before: %v", rs)
	}
	i = with(t, i, must(UnfenceBroker(i, 1))(t)...)
	if i.Broker(1).Fenced {
		t.Fatal("still fenced")
	}
	for _, decide := range []func(*Image, int32) ([]Record, error){FenceBroker, UnfenceBroker, UnregisterBroker} {
		_, err := decide(i, 2)
		refused(t, err, ErrUnknownBroker, "Broker ID 2 is not currently registered")
	}
}

func TestABrokerWithReplicasIsNotForgotten(t *testing.T) {
	i := with(t, brokersIn(2), topicOn("t", []int32{1, 2}, []int32{2}, []int32{1}))
	_, err := UnregisterBroker(i, 2)
	refused(t, err, ErrBrokerInUse, "Broker 2", "2 replica(s)", "reassign")
	i = with(t, i, must(DeleteTopic(i, "t"))(t)...)
	i = with(t, i, must(UnregisterBroker(i, 2))(t)...)
	if i.Broker(2) != nil {
		t.Fatal("still registered")
	}
}

func TestEpochZeroMeansTheDirectoriesOfTheCreation(t *testing.T) {
	i := with(t, brokersIn(3), topicOn("t", []int32{1, 2}, []int32{2, 3}, []int32{3, 1}))
	epochs := func(i *Image, want ...int32) {
		t.Helper()
		for n, p := range i.Topic("t").Partitions {
			if p.Epoch != want[n] {
				t.Fatalf("partition %d has epoch %d, expected %d", n, p.Epoch, want[n])
			}
		}
	}
	run2 := *i.Broker(2)
	run2.Incarnation, run2.Host = "again", "elsewhere"
	epochs(with(t, i, BrokerFenceRecord{2, true}, BrokerRecord{run2}), 0, 0, 0)
	wiped := run2
	wiped.Identity = "wiped"
	epochs(with(t, i, BrokerRecord{wiped}), 1, 1, 0)
	// A broker that was forgotten may come back with any directory, even with the old one.
	epochs(with(t, i, BrokerRemovedRecord{2}), 1, 1, 0)
	epochs(with(t, i, BrokerRemovedRecord{2}, BrokerRecord{run2}), 2, 2, 0)
	// Neither restart nor snapshot count.
	again := must(readSnapshot(stringReader(state(t, with(t, i, BrokerRecord{wiped})))))(t)
	epochs(again, 1, 1, 0)
}
