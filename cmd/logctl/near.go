package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// didYouMean returns ", did you mean …?" with the names that are most like s, or "".
func didYouMean(s string, names []string) string {
	near := nearest(s, names)
	if len(near) == 0 {
		return ""
	}
	for i, n := range near {
		near[i] = fmt.Sprintf("%q", n)
	}
	return ", did you mean " + strings.Join(near, " or ") + "?"
}

// maxNear is how many names are offered.
const maxNear = 3

// nearest returns the names that a typing error or a missing part away from s.
func nearest(s string, names []string) []string {
	type candidate struct {
		name string
		far  int
	}
	var found []candidate
	low := strings.ToLower(s)
	for _, n := range names {
		far := distance(low, strings.ToLower(n))
		within := strings.Contains(strings.ToLower(n), low) && len(s) >= 3
		if far <= max(2, len(s)/3) && far < len(s) || within {
			found = append(found, candidate{n, far})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.name, b.name))
	})
	var out []string
	for _, c := range found[:min(maxNear, len(found))] {
		out = append(out, c.name)
	}
	return out
}

// distance is the number of bytes to insert, delete, replace, or swap with their neighbour, to
// make a into b.
func distance(a, b string) int {
	before, last, this := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		this[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			this[j] = min(last[j]+1, this[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				this[j] = min(this[j], before[j-2]+1)
			}
		}
		before, last, this = last, this, before
	}
	return last[len(b)]
}
