package group

import "unicode/utf16"

// PartitionFor is the partition of __consumer_offsets, of so many, that holds a group: Java's
// hash code of its name, without the sign, modulo partitions.
func PartitionFor(groupID string, partitions int32) int32 {
	if partitions <= 0 {
		return 0
	}
	return (javaHash(groupID) & 0x7fffffff) % partitions
}

// javaHash is String.hashCode, which works on UTF-16 code units.
func javaHash(s string) int32 {
	var h int32
	for _, r := range s {
		if r1, r2 := utf16.EncodeRune(r); r >= 0x10000 {
			h = 31*(31*h+r1) + r2
			continue
		}
		h = 31*h + r
	}
	return h
}

// javaLen is String.length: UTF-16 code units.
func javaLen(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 0x10000 {
			n++
		}
	}
	return n
}
