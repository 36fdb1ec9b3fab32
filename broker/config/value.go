package config

import (
	"strconv"
	"strings"
)

// value is a parsed value: the field of its type holds it, text holds it as written.
type value struct {
	text string
	num  int64
	real float64
	yes  bool
	list []string
}

// parse reads text as t. A fault is the reason in Kafka's words.
func (t Type) parse(text string) (v value, fault string) {
	v.text = strings.TrimSpace(text)
	var err error
	switch t {
	case Boolean:
		v.text = strings.ToLower(v.text)
		v.yes = v.text == "true"
		if !v.yes && v.text != "false" {
			return value{text: strings.TrimSpace(text)}, "Expected value to be either true or false"
		}
	case Short:
		v.num, err = strconv.ParseInt(v.text, 10, 16)
	case Int:
		v.num, err = strconv.ParseInt(v.text, 10, 32)
	case Long:
		v.num, err = strconv.ParseInt(v.text, 10, 64)
	case Double:
		v.real, err = strconv.ParseFloat(v.text, 64)
	case List:
		v.list = splitList(v.text)
	default: // text as it is
	}
	if err != nil {
		return v, "Not a number of type " + strings.ToUpper(t.String())
	}
	return v, ""
}

// splitList splits at commas; an empty text is an empty list.
func splitList(text string) []string {
	if text == "" {
		return nil
	}
	list := strings.Split(text, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}
