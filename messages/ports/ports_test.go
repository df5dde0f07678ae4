package ports

import "testing"

// Ports that were told are nobody else's, and those where somebody listens are left out.
func TestFree(t *testing.T) {
	told := map[int]bool{}
	for range 20 {
		first, err := Free(3)
		if err != nil {
			t.Fatal(err)
		}
		for port := first; port < first+3; port++ {
			if told[port] {
				t.Errorf("port %d is told twice", port)
			}
			told[port] = true
		}
		busy, err := listen(first + 4) // the middle of the next three
		if err != nil {
			t.Fatal(err)
		}
		defer busy.Close()
		told[first+4] = true
	}
}

// Another process has ports of its own, also if its number would give it the same.
func TestFree_Apart(t *testing.T) {
	before, err := Free(1)
	if err != nil {
		t.Fatal(err)
	}
	kept := mine.claim
	defer kept.Close()
	mine.claim = nil // as in another process
	after, err := Free(1)
	if err != nil || after/perPart == before/perPart {
		t.Errorf("ports %d and %d, %v", before, after, err)
	}
}
