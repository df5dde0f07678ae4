package transport

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// bringAll tries n files, one after the other, and counts those that may come.
func bringAll(t *testing.T, u *uploads, now time.Time, n int, who func(i int) asker, size int64) (came int, last error) {
	t.Helper()
	for i := range n {
		done, err := u.begin(now, who(i), size)
		if err != nil {
			last = err
			continue
		}
		came++
		done()
		done() // a second call does nothing
	}
	if u.all != 0 || len(u.under) != 0 {
		t.Errorf("%d are still under way: %v", u.all, u.under)
	}
	return came, last
}

// A person brings a bounded number of files an hour, however small, and an address with many persons five times as many.
// After that, more come one by one.
func TestUploads_Hour(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	amy := asker{person: "amy", household: "home"}
	u := newUploads()
	came, err := bringAll(t, u, now, 10_000, func(int) asker { return amy }, 400)
	if came != filesOfPerson || !strings.Contains(err.Error(), "you have brought") || !strings.Contains(err.Error(), "in 3 min") {
		t.Errorf("%d of one person: %v", came, err)
	}
	if came, _ = bringAll(t, u, now.Add(4*time.Minute), 10, func(int) asker { return amy }, 400); came != 1 {
		t.Errorf("4 minutes later %d", came)
	}
	u = newUploads()
	came, err = bringAll(t, u, now, 10_000, func(i int) asker { return asker{person: fmt.Sprint("guest ", i), household: "home"} }, 400)
	if came != filesOfAddress || !strings.Contains(err.Error(), "those of your address") {
		t.Errorf("%d of one address: %v", came, err)
	}
	if came, _ = bringAll(t, u, now, 1, func(int) asker { return asker{person: "bob", household: "next door"} }, 400); came != 1 {
		t.Error("others are held up")
	}
	if came, _ = bringAll(t, newUploads(), now, 30, func(int) asker { return amy }, 50<<20); came != bytesOfPerson/(50<<20) {
		t.Errorf("%d large ones", came)
	}
	if came, err = bringAll(t, newUploads(), now, 2, func(int) asker { return amy }, 10<<30); came != 1 {
		t.Errorf("%d that are larger than all that one may bring: %v", came, err)
	}
}

// There are never more uploads under way than allowed, and a refused one uses up no share.
func TestUploads_Property_UnderWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u, now := newUploads(), time.Unix(1_000_000, 0)
		type one struct {
			home string
			done func()
		}
		var under []one
		homes := map[string]int{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second)
			if len(under) > 0 && rapid.Bool().Draw(t, "ends") {
				i := rapid.IntRange(0, len(under)-1).Draw(t, "which")
				under[i].done()
				homes[under[i].home]--
				under = append(under[:i], under[i+1:]...)
				continue
			}
			home := rapid.StringMatching("[a-f]").Draw(t, "home")
			a := asker{person: home + rapid.StringMatching("[a-c]").Draw(t, "person"), household: home}
			left := u.limits[0].of(a).TokensAt(now)
			done, err := u.begin(now, a, 1)
			if err == nil {
				under = append(under, one{home, done})
				homes[home]++
			} else if after := u.limits[0].of(a).TokensAt(now); after != left {
				t.Fatalf("a refusal costs: %v, then %v", left, after)
			}
			if may := homes[home] < uploadsOfAddress && len(under) < uploadsAtOnce; err != nil && may && left >= 1 {
				t.Fatalf("%d of %d are under way, and it says %v", homes[home], len(under), err)
			}
			if homes[home] > uploadsOfAddress || len(under) > uploadsAtOnce {
				t.Fatalf("%d of %d are under way", homes[home], len(under))
			}
		}
	})
}

func TestLimited(t *testing.T) {
	if err := limited(errBringTwo); !errors.Is(err, ErrTooMuch) || err.Error() != errBringTwo.Error() || !OthersBring(err) {
		t.Error(err)
	}
	if OthersBring(limited(ErrTooMuch)) {
		t.Error("who has brought too much waits for others")
	}
	if limited(nil) != nil {
		t.Error("nothing is too much")
	}
}
