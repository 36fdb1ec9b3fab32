package main

import "testing"

func TestAnInvoiceLineIsReadWithItsQuotesAndCommas(t *testing.T) {
	line := `C580001,22138,"BAKING SET, 9 PIECE ""RETROSPOT""",-2,2011-12-06 08:12:00,4.95,13853.0,France`
	got, err := parseOrder([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	if got.country != "France" || got.amount != -990 || string(got.key) != "13853.0" || !got.cancelled() {
		t.Errorf("parseOrder = country %q, amount %v, key %q, cancelled %v", got.country, got.amount, got.key, got.cancelled())
	}
}

func TestALineThatIsNoOrderIsRefused(t *testing.T) {
	for _, line := range []string{"", "a,b", `1,2,"open,3,d,1.0,,X`, "1,2,x,many,d,1.0,,X", "1,2,x,3,d,dear,,X"} {
		if o, err := parseOrder([]byte(line)); err == nil {
			t.Errorf("parseOrder(%q) = %+v, want an error", line, o)
		}
	}
}

func TestTheSampleDayAddsUp(t *testing.T) {
	orders, err := loadOrders("../data/online-retail-2011-12-06.csv")
	if err != nil {
		t.Fatal(err)
	}
	day := newLedger(len(orders))
	for _, o := range orders {
		day.add(o)
	}
	if day.orders != 3365 || day.cancelled != 100 || day.total != 5422837 || len(day.revenue) != 9 {
		t.Errorf("%d orders, %d cancelled, %v, %d countries", day.orders, day.cancelled, day.total, len(day.revenue))
	}
}

func TestMoneyIsWrittenWithSignAndThousands(t *testing.T) {
	for amount, want := range map[pence]string{0: "£0.00", 5: "£0.05", -3665: "-£36.65", 5422837: "£54,228.37", 123456789012: "£1,234,567,890.12"} {
		if got := amount.String(); got != want {
			t.Errorf("pence(%d) = %q, want %q", int64(amount), got, want)
		}
	}
}
