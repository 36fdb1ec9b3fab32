package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"strconv"
)

// order is one invoice line. A cancellation's amount is negative.
type order struct {
	line    []byte // as it stands in the file: the record's value
	key     []byte // the customer; nil where the shop did not know
	country string
	amount  pence // quantity times unit price
}

// cancelled says whether the line takes an earlier one back: its invoice number begins with C.
func (o order) cancelled() bool { return bytes.HasPrefix(o.line, []byte("C")) }

// loadOrders reads the invoice lines of a CSV file.
func loadOrders(path string) ([]order, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := splitLines(data)
	if len(lines) < 2 {
		return nil, fmt.Errorf("%s: no orders", path)
	}
	orders := make([]order, 0, len(lines)-1)
	for i, line := range lines[1:] { // the first one names the columns
		o, err := parseOrder(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+2, err)
		}
		orders = append(orders, o)
	}
	return orders, nil
}

// splitLines cuts data at its newlines. A description holds commas and quotes, but no newline.
func splitLines(data []byte) [][]byte {
	var lines [][]byte
	for line := range bytes.Lines(data) {
		lines = append(lines, bytes.TrimRight(line, "\r\n"))
	}
	return lines
}

// The columns that count: InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country.
const (
	quantityColumn = 3
	priceColumn    = 5
	customerColumn = 6
	countryColumn  = 7
	columns        = 8
)

func parseOrder(line []byte) (order, error) {
	fields, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil {
		return order{}, err
	}
	if len(fields) != columns {
		return order{}, fmt.Errorf("%d columns instead of %d", len(fields), columns)
	}
	quantity, err := strconv.ParseInt(fields[quantityColumn], 10, 32)
	if err != nil {
		return order{}, fmt.Errorf("quantity: %w", err)
	}
	price, err := strconv.ParseFloat(fields[priceColumn], 64)
	if err != nil {
		return order{}, fmt.Errorf("unit price: %w", err)
	}
	amount := pence(quantity * int64(math.Round(price*100)))
	return order{line: line, key: customer(fields), country: fields[countryColumn], amount: amount}, nil
}

func customer(fields []string) []byte {
	if fields[customerColumn] == "" {
		return nil
	}
	return []byte(fields[customerColumn])
}
